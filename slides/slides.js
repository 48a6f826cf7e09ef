// One slide at a time. Without this script all of them stand below each other.
const slides = [...document.querySelectorAll("main > section")];
const button = document.getElementById("notes");
let now = 0;

// What is said and not shown, in one place for each slide: the words first, as a speaker looks for those.
for (const slide of slides) {
  const aside = document.createElement("aside");
  aside.className = "notes";
  aside.setAttribute("aria-label", "Notes");
  aside.tabIndex = 0;
  const notes = [...slide.querySelectorAll(".note")];
  const words = (note) => Number(note.firstElementChild?.className === "text");
  aside.append(...notes.sort((a, b) => words(b) - words(a)));
  if (notes.length) slide.append(aside);
}

// Text gets smaller until the slide fits. Below the limit of the style sheet it does not; what is longer scrolls.
function fit(slide) {
  slide.classList.add("measured");
  for (let percent = 100; percent >= 65; percent--) {
    slide.style.setProperty("--size", percent / 100);
    if (slide.scrollHeight <= slide.clientHeight) break;
  }
  slide.classList.remove("measured");
}

function show(k, all = false) {
  now = Math.max(0, Math.min(k, slides.length - 1));
  slides.forEach((slide, i) => slide.classList.toggle("now", i === now));
  for (const part of slides[now].querySelectorAll(".fragment")) part.classList.toggle("seen", all);
  slides[now].scrollTop = 0;
  document.getElementById("where").textContent = `${now + 1} of ${slides.length}`;
  history.replaceState(null, "", `#${now + 1}`);
  slides[now].focus({ preventScroll: true });
}

// Nobody is to miss what stands below: a key shows that before it turns the slide.
function on() {
  const slide = slides[now];
  const waiting = slide.querySelector(".fragment:not(.seen)");
  if (waiting) waiting.classList.add("seen");
  else if (slide.scrollHeight - slide.clientHeight - slide.scrollTop > 1) slide.scrollBy(0, 0.8 * slide.clientHeight);
  else if (now < slides.length - 1) show(now + 1);
}

function notes() {
  button.setAttribute("aria-pressed", document.body.classList.toggle("with-notes"));
}

// What a presenter's remote control sends, too. Up and Down are left to the notes, which scroll.
const keys = {
  ArrowRight: on,
  PageDown: on,
  " ": on,
  ArrowLeft: () => show(now - 1, true),
  PageUp: () => show(now - 1, true),
  Home: () => show(0),
  End: () => show(slides.length - 1, true),
  n: notes,
  N: notes,
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !(event.key in keys)) return;
  if (event.key === " " && event.target.closest("button, a")) return;
  event.preventDefault();
  keys[event.key]();
});
button.addEventListener("click", notes);
document.getElementById("on").addEventListener("click", on);
document.getElementById("back").addEventListener("click", keys.ArrowLeft);
addEventListener("hashchange", () => show(parseInt(location.hash.slice(1), 10) - 1 || 0));

document.documentElement.classList.add("js");
addEventListener("resize", () => slides.forEach(fit));
slides.forEach(fit);
show(parseInt(location.hash.slice(1), 10) - 1 || 0);
