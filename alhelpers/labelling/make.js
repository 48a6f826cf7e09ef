// Stands before each of the two programs. Texts are set as text and never as HTML: file and class names are other
// people's.

function make(tag, className, text = "", attributes = {}) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
