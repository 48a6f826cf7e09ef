// What a person sees of the labelling widget. It shows the image that the kernel hands out and sends back what
// the person does with it; the next image comes when the kernel has that on disk. Texts are set as text and
// never as HTML: file and class names are other people's.

const KEYS = { Backspace: "undo", ArrowLeft: "undo", ArrowRight: "skip", "?": "cannot tell" };
const ACTIONS = [
  ["undo", "Undo", "Backspace", "Take the last answer back"],
  ["skip", "Skip", "→", "Ask me again at the end of this round"],
  ["cannot tell", "Cannot tell", "?", "Never ask about this image again"],
  ["guess", "Show the model's guess", "", "It may sway you: judge for yourself first"],
];
const PATIENCE = 5000; // ms without an answer from the kernel until the person is told
const LEARNING = 60000; // the same while it asks nothing: it may be learning, and hears Undo after that
const HOLD = 4000; // ms between two signs of life; the kernel gives the image to another viewer after 10,000
const POLL = 1000; // ms between two questions for an image while others hold all there are

function make(tag, className, text = "", attributes = {}) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function render({ model, el }) {
  const view = `${Date.now()}-${Math.random()}`; // crypto.randomUUID is missing on plain http
  const classes = model.get("classes");
  const keys = model.get("shortcuts");
  let shown = null; // digest of the image on show
  let since = 0; // when it came
  let sent = null; // what waits for the kernel
  let patience, closed = false;
  const urls = new Map(); // by digest, of the image on show and those after it: what is next is decoded already

  // ---- The elements

  const root = make("div", "al-label", "", {
    role: "group", "aria-label": "Label images", tabindex: 0, "data-lm-suppress-shortcuts": "true",
  });
  const progress = make("div", "al-progress");
  const figure = make("figure", "al-figure");
  const image = make("img", "al-image");
  const caption = make("figcaption", "al-caption");
  const waiting = make("div", "al-waiting", "", { role: "status" });
  // Few pixels are shown as such; a photograph is not.
  image.addEventListener("load", () => image.classList.toggle("al-coarse", image.naturalWidth < 128));
  figure.append(image, caption, waiting);
  const next = make("div", "al-next", "", { "aria-hidden": "true" });
  const note = make("div", "al-note", "", { role: "status" });
  const trouble = make("div", "al-trouble", "", { role: "alert" });
  const side = make("div", "al-side");
  side.append(next, note, trouble);
  const stage = make("div", "al-stage");
  stage.append(figure, side);

  const answers = make("div", "al-answers", "", { role: "group", "aria-label": "Classes" });
  classes.forEach((name, label) => {
    const button = make("button", "al-class", "", { type: "button", "aria-keyshortcuts": keys[label] });
    if (keys[label] !== name) button.append(make("kbd", "", keys[label], { "aria-hidden": "true" }));
    button.append(make("span", "", name));
    button.addEventListener("click", () => answer("label", label));
    answers.append(button);
  });
  const actions = make("div", "al-actions", "", { role: "group", "aria-label": "Other answers" });
  const buttons = {};
  for (const [action, name, key, title] of ACTIONS) {
    const button = make("button", "al-action", "", { type: "button", title });
    if (key) {
      button.append(make("kbd", "", key, { "aria-hidden": "true" }));
      button.setAttribute("aria-keyshortcuts", key === "→" ? "ArrowRight" : key);
    }
    button.append(make("span", "", name));
    button.addEventListener("click", () => answer(action));
    buttons[action] = button;
    actions.append(button);
  }
  const log = make("div", "al-log", "", { role: "log", "aria-label": "After each round", tabindex: 0 });
  root.append(progress, stage, answers, actions, log);
  el.append(root);

  function say(text, bad = false) {
    note.textContent = bad ? "" : text;
    trouble.textContent = bad ? text : "";
  }

  function refresh() {
    const asking = shown !== null;
    figure.classList.toggle("al-empty", !asking);
    image.hidden = caption.hidden = !asking;
    waiting.textContent = asking ? "" : model.get("status");
    for (const button of [...answers.children, buttons.skip, buttons["cannot tell"], buttons.guess])
      button.setAttribute("aria-disabled", String(!asking || sent !== null));
    log.textContent = model.get("log");
    log.hidden = !log.textContent;
    log.scrollTop = log.scrollHeight;
  }

  // ---- What the kernel says

  function show(content, buffers) {
    clearTimeout(patience);
    sent = null;
    const same = shown !== null && shown === content.image;
    shown = content.image;
    content.sent.forEach((digest, i) => {
      urls.set(digest, URL.createObjectURL(new Blob([buffers[i]], { type: "image/png" })));
    });
    for (const [digest, url] of urls)
      if (digest !== shown && !content.next.includes(digest)) {
        URL.revokeObjectURL(url);
        urls.delete(digest);
      }
    if (shown !== null) {
      image.src = urls.get(shown);
      image.alt = `Image to label: ${content.name}`;
      image.dataset.image = shown;
      caption.textContent = content.name;
    }
    next.replaceChildren(...content.next.map((digest) => {
      const small = make("img", "al-small", "", { alt: "" });
      small.src = urls.get(digest);
      return small;
    }));
    progress.textContent = content.progress;
    say(content.note);
    refresh();
    if (!same) since = performance.now();
  }

  function receive(content, buffers) {
    if (content.to !== view) return;
    if (content.kind === "show") show(content, buffers);
    if (content.kind === "guess") {
      sent = null;
      clearTimeout(patience);
      say(content.note);
      refresh();
    }
    if (content.kind === "trouble") {
      sent = null;
      clearTimeout(patience);
      say(content.note, true);
      refresh();
    }
  }

  // ---- What the person does

  function send(content) {
    model.send({ view, has: [...urls.keys()], ...content });
  }

  // What needs no answer may go reportNoAnswer: a kernel that has ended is told of when the person does something.
  function trySend(kind) {
    try {
      send({ kind, image: shown });
    } catch {}
  }

  function answer(action, label = null) {
    if (sent !== null || (shown === null && action !== "undo")) return;
    sent = { kind: action, image: shown, label, milliseconds: Math.round(performance.now() - since) };
    patience = setTimeout(reportNoAnswer, model.get("asking") ? PATIENCE : LEARNING);
    try {
      send(sent);
    } catch {
      reportNoAnswer(); // the kernel has ended, or was started again
    }
    refresh();
  }

  function reportNoAnswer() {
    clearTimeout(patience);
    sent = null;
    say("The kernel does not answer. All answers before this one are kept; this one may not be. If the kernel " +
        "was started again, run the notebook's cells again: it goes on from there.", true);
    refresh();
  }

  function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    event.stopPropagation(); // JupyterLab has shortcuts for most letters and digits: d d deletes the cell
    if (event.repeat && ["Enter", " "].includes(event.key)) event.preventDefault(); // would press a button again
    const action = KEYS[event.key];
    let label = keys.indexOf(event.key.toLowerCase());
    // On keyboards that need Shift for digits, or write other letters, the place of the key counts.
    if (label < 0 && !action) label = keys.indexOf(event.code.replace(/^(Digit|Numpad|Key)/, "").toLowerCase());
    if (label < 0 && !action) return;
    event.preventDefault();
    if (event.repeat) return;
    if (label >= 0) answer("label", label);
    else answer(action);
  }

  root.addEventListener("keydown", onKey);
  // JupyterLab asks the element that has the focus.
  root.querySelectorAll("button, .al-log").forEach((node) => node.setAttribute("data-lm-suppress-shortcuts", "true"));
  // A click anywhere in the widget lets the keys work, without a button keeping the focus on what is past.
  root.addEventListener("mousedown", (event) => event.stopPropagation());
  root.addEventListener("click", (event) => {
    if (event.target.closest("button, .al-log") === null) root.focus({ preventScroll: true });
  });
  model.on("msg:custom", receive);
  const onBatch = () => trySend("next");
  model.on("change:batch", onBatch);
  model.on("change:status change:log", refresh);
  const idle = () => !document.hidden && sent === null;
  const timers = [
    setInterval(() => idle() && shown !== null && trySend("hold"), HOLD),
    setInterval(() => idle() && shown === null && model.get("asking") && trySend("next"), POLL),
  ];
  refresh();
  trySend("next");

  return () => {
    if (closed) return;
    closed = true;
    trySend("leave");
    timers.forEach(clearInterval);
    clearTimeout(patience);
    urls.forEach((url) => URL.revokeObjectURL(url));
    model.off("msg:custom", receive);
    model.off("change:batch", onBatch);
    model.off("change:status change:log", refresh);
  };
}

export default { render };
