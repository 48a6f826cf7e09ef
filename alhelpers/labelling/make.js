// Stands before each of the two programs. Texts are set as text and never as HTML: file and class names are other
// people's.

function make(tag, className, text = "", attributes = {}) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// JupyterLab asks the element that has the focus for this mark.
function makeButton(className, name, act, key = "") {
  const button = make("button", className, "", { type: "button", "data-lm-suppress-shortcuts": "true" });
  if (key && name.length > 1) button.append(make("kbd", "", key, { "aria-hidden": "true" }));
  if (name) button.append(make("span", "", name));
  button.addEventListener("click", act);
  return button;
}
