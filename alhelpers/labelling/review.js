// The grid of answers for a second look. An image is chosen by a click, then the class that is right. Texts are
// set as text and never as HTML: file and class names are other people's.

const PAGE = 48; // images a group shows until more are asked for
const FEW = 6; // pictures that are asked for at a time: the kernel makes them before it answers anything else
const PATIENCE = 10000; // ms without an answer from the kernel until the person is told
const NO_ANSWER = "The kernel does not answer. What was corrected before is kept; run the notebook's cells again.";

function render({ model, el }) {
  const view = `${Date.now()}-${Math.random()}`;
  const urls = new Map(); // pictures by digest
  const lengths = new Map(); // how many images a heading shows
  let groups = [], chosen = null, patience;
  let unanswered = 0; // messages to the kernel
  let wanted = [], coming = []; // pictures that are still to be asked for, and those on their way

  const root = make("div", "al-label al-review", "", {
    role: "group", "aria-label": "Review labels", tabindex: -1, "data-lm-suppress-shortcuts": "true",
  });
  const note = make("div", "al-note", "", { role: "status" });
  const trouble = make("div", "al-trouble", "", { role: "alert" });
  const bar = make("div", "al-bar");
  const grid = make("div", "al-groups");
  root.append(note, trouble, bar, grid);
  el.append(root);

  function send(content) {
    unanswered += 1;
    beginToWait();
    try {
      model.send({ view, ...content });
    } catch {
      reportNoAnswer();
    }
  }

  function beginToWait() {
    clearTimeout(patience);
    if (unanswered) patience = setTimeout(reportNoAnswer, PATIENCE);
  }

  function reportNoAnswer() {
    clearTimeout(patience);
    say(NO_ANSWER, true);
  }

  function askForPictures() {
    if (coming.length || !wanted.length) return;
    coming = wanted.splice(0, FEW);
    send({ kind: "pictures", images: coming });
  }

  function say(text, bad = false) {
    note.textContent = bad ? "" : text;
    trouble.textContent = bad ? text : "";
  }

  function showBar() {
    const undo = makeButton("al-action", "Undo my last correction", () => send({ kind: "undo" }));
    if (chosen === null) return bar.replaceChildren(make("span", "", "Click an image to correct it."), undo);
    const large = make("img", "al-large", "", { alt: chosen.name });
    large.src = urls.get(`large ${chosen.image}`) ?? urls.get(chosen.image) ?? "";
    const correct = (label) => () => send({ kind: "correct", image: chosen.image, label });
    const buttons = [...model.get("classes"), "cannot tell"].map((name, label, all) => {
      const number = label === all.length - 1 ? null : label;
      const button = makeButton("al-class", name, correct(number));
      button.setAttribute("aria-pressed", String(number === chosen.label));
      return button;
    });
    const answers = make("div", "al-answers", "", { role: "group", "aria-label": "The right class" });
    answers.append(...buttons, makeButton("al-action", "Leave it", () => choose(null)), undo);
    bar.replaceChildren(large, make("div", "al-caption", chosen.name), answers);
  }

  function choose(tile) {
    chosen = tile;
    if (tile && !urls.has(`large ${tile.image}`)) send({ kind: "large", image: tile.image });
    showBar();
    for (const node of grid.querySelectorAll(".al-tile"))
      node.setAttribute("aria-pressed", String(node.dataset.image === chosen?.image));
    if (tile) bar.scrollIntoView({ block: "nearest" });
  }

  function showGrid() {
    wanted = [];
    grid.replaceChildren(...groups.map(({ heading, images }) => {
      const group = make("section", "al-group", "", { "aria-label": heading });
      const length = lengths.get(heading) ?? PAGE;
      const tiles = make("div", "al-tiles");
      tiles.append(...images.slice(0, length).map((tile) => {
        const node = makeButton("al-tile", "", () => choose(tile));
        node.dataset.image = tile.image;
        const picture = make("img", "al-thumb", "", { alt: tile.name });
        if (urls.has(tile.image)) picture.src = urls.get(tile.image);
        else if (!coming.includes(tile.image)) wanted.push(tile.image);
        node.append(picture, ...tile.said.map((text) => make("span", "al-said", text)));
        node.title = tile.name;
        return node;
      }));
      group.append(make("h4", "al-heading", `${heading} (${images.length})`), tiles);
      if (images.length > length) {
        const more = makeButton("al-action", `${images.length - length} more`, () => {
          lengths.set(heading, length + PAGE);
          showGrid();
        });
        group.append(more);
      }
      return group;
    }));
    askForPictures();
  }

  function receive(content, buffers) {
    if (content.to !== view) return;
    unanswered = Math.max(0, unanswered - 1);
    beginToWait();
    if (trouble.textContent === NO_ANSWER) say("");
    const large = content.kind === "large" ? "large " : "";
    content.sent.forEach((digest, i) => urls.set(large + digest, URL.createObjectURL(new Blob([buffers[i]]))));
    if (content.kind === "trouble") {
      coming = [];
      say(content.note, true);
    } else if (content.kind === "large") showBar();
    else if (content.kind === "pictures") {
      for (const node of grid.querySelectorAll(".al-tile"))
        if (content.sent.includes(node.dataset.image)) node.firstChild.src = urls.get(node.dataset.image);
      coming = [];
      askForPictures();
    } else {
      const within = root.matches(":focus-within");
      groups = content.groups;
      say(content.note);
      showGrid();
      choose(null);
      // What was clicked has gone, and on the page itself d d deletes the cell.
      if (within && !root.matches(":focus-within")) root.focus({ preventScroll: true });
    }
  }

  // JupyterLab has shortcuts for most letters: d d deletes the cell.
  root.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.altKey || event.metaKey)) event.stopPropagation();
  });
  root.addEventListener("mousedown", (event) => event.stopPropagation());
  model.on("msg:custom", receive);
  model.on("change:classes", showBar);
  showBar();
  send({ kind: "show" });

  return () => {
    clearTimeout(patience);
    urls.forEach((url) => URL.revokeObjectURL(url));
    model.off("msg:custom", receive);
    model.off("change:classes", showBar);
  };
}

export default { render };
