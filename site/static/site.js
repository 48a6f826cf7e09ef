// What scrolls sideways can be scrolled with the keyboard, and nothing else takes the focus on the way.
function focusable() {
  for (const box of document.querySelectorAll("pre, .table-wrapper, .output.text_html")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", focusable);
addEventListener("resize", focusable);

// Escape closes the sidebars of a narrow screen.
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const toggle of document.querySelectorAll(".sidebar-toggle")) toggle.checked = false;
});
