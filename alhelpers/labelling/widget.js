// What a person sees of the labelling widget. It shows the image that the kernel hands out and sends back what
// the person does with it; the next image comes when the kernel has that on disk. Texts are set as text and
// never as HTML: file and class names are other people's.

const KEYS = {
  Backspace: "undo", ArrowLeft: "undo", ArrowRight: "skip", "?": "cannot tell",
  "+": "larger", "=": "larger", "-": "smaller", ",": "contrast",
};
const ACTIONS = [
  ["undo", "Undo", "Backspace", "Take back the last that was done in this tab"],
  ["skip", "Skip", "→", "Ask me again at the end of this round"],
  ["cannot tell", "Cannot tell", "?", "Never ask about this image again"],
  ["guess", "Show the model's guess", "", "It may sway you: judge for yourself first"],
  ["stop", "Stop here and export", "", "Write all labels to a file and let the cells below run"],
];
const LOOKS = [
  ["smaller", "−", "-", "Smaller"],
  ["larger", "+", "+", "Larger"],
  ["contrast", "Contrast", ",", "Stretch the grey levels, for all images until this is pressed again"],
];
const ANSWERS = ["label", "skip", "cannot tell"];
const GLANCE = 200; // ms that an image has to be on the screen before an answer is about it
const PATIENCE = 5000; // ms without an answer from the kernel until the person is told
const LEARNING = 60000; // the same while it asks nothing: it may be learning, and hears Undo after that
const HOLD = 4000; // ms between two signs of life; the kernel gives the image to another viewer after 10,000
const AWAY = 60000; // ms without a move after which there is none: somebody else may have the image
const POLL = 1000; // ms between two questions for an image while others hold all there are
const COARSE = 12; // how many times its size an image of few pixels is shown
const STEPS = { smaller: -6, larger: 12 }; // how far zoom goes, each step a quarter larger

// The same for a tab that is loaded again, so that it can take back what was done in it.
function nameOfTab(view) {
  try {
    sessionStorage.alhelpersTab ??= view;
    return sessionStorage.alhelpersTab;
  } catch {
    return view; // no storage in this frame
  }
}

// The class or the action that a key stands for, or undefined. What the key writes counts. Its place does where
// digits need Shift (France), or another alphabet is written.
function meaning(event, keys) {
  const label = keys.indexOf(event.key.toLowerCase());
  if (label >= 0) return label;
  const place = /^(Digit|Numpad|Key)(\w)$/.exec(event.code);
  const latin = event.key.length > 1 || /[a-z0-9]/i.test(event.key);
  const there = place && !latin && !event.getModifierState("AltGraph") ? keys.indexOf(place[2].toLowerCase()) : -1;
  if (there >= 0 && place[1] === "Digit" && !event.shiftKey) return there; // "-" is where 6 is, in France
  return KEYS[event.key] ?? (there >= 0 ? there : undefined);
}

// A CSS filter that spreads the grey levels from the 1st to the 99th percentile over all there are.
function stretch(picture) {
  const side = 128;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0, side, side);
  const pixels = context.getImageData(0, 0, side, side).data;
  const levels = Array.from({ length: side * side }, (_, i) => (pixels[4 * i] + pixels[4 * i + 1] + pixels[4 * i + 2]) / 765);
  levels.sort((a, b) => a - b);
  const low = levels[Math.floor(0.01 * levels.length)];
  const range = Math.max(levels[Math.floor(0.99 * levels.length)] - low, 1 / 255);
  // contrast(c) is c (x - 1/2) + 1/2, so brightness(b) before it gives (x - low) / range.
  const contrast = 1 + (2 * low) / range;
  return `brightness(${1 / range / contrast}) contrast(${contrast})`;
}

function render({ model, el }) {
  const view = `${Date.now()}-${Math.random()}`; // crypto.randomUUID is missing on plain http
  const tab = nameOfTab(view);
  let shown = null; // digest of the image on show
  let since = null; // when it was painted
  let status = ""; // what this viewer in particular waits for
  let sent = null; // what waits for the kernel
  let active = performance.now(); // when the person last moved
  let steps = 0, stretched = false; // steps of zoom from the size that fits
  let early = false; // an answer came while none could be given
  let fleeting = false; // what is said is about the image on show only
  let patience, closed = false;
  const urls = new Map(); // by digest, of the image on show and those after it: what is next is decoded already

  // ---- The elements

  const root = make("div", "al-label", "", {
    role: "group", "aria-label": "Label images", tabindex: 0, "data-lm-suppress-shortcuts": "true",
  });
  const progress = make("div", "al-progress");
  const figure = make("figure", "al-figure");
  const frame = make("div", "al-frame");
  const image = make("img", "al-image");
  const caption = make("figcaption", "al-caption");
  const looks = make("div", "al-looks", "", { role: "group", "aria-label": "How it is shown" });
  const waiting = make("div", "al-waiting", "", { role: "status" });
  frame.append(image, waiting);
  const next = make("div", "al-next", "", { "aria-hidden": "true" });
  const note = make("div", "al-note", "", { role: "status" });
  const trouble = make("div", "al-trouble", "", { role: "alert" });
  const told = make("div", "al-told");
  told.append(note, trouble);
  const words = make("div", "al-words");
  words.append(caption, told);
  // Under the picture's place, and of one height: so the buttons below stay where they are.
  const beside = make("div", "al-beside");
  beside.append(looks, words, next);
  figure.append(frame, beside);
  const answers = make("div", "al-answers", "", { role: "group", "aria-label": "Classes" });
  const actions = make("div", "al-actions", "", { role: "group", "aria-label": "Other answers" });
  const buttons = {};
  for (const [place, list] of [[actions, ACTIONS], [looks, LOOKS]])
    for (const [action, name, key, title] of list) {
      const button = makeButton("al-action", name, () => act(action), key);
      button.title = title;
      if (name.length === 1) button.setAttribute("aria-label", title);
      if (key) button.setAttribute("aria-keyshortcuts", key === "→" ? "ArrowRight" : key);
      place.append((buttons[action] = button));
    }
  const naming = make("details", "al-classes");
  const names = make("div", "al-names");
  const aboutNames = make("div", "al-about");
  naming.append(make("summary", "", "Rename or add a class"), aboutNames, names);
  const log = make("div", "al-log", "", { role: "log", "aria-label": "After each round", tabindex: 0 });
  root.append(progress, figure, answers, actions, naming, log);
  el.append(root);

  function showClasses() {
    const typing = names.matches(":focus-within") || answers.matches(":focus-within");
    const classes = model.get("classes"), keys = model.get("shortcuts");
    answers.replaceChildren(...classes.map((name, label) => {
      const button = makeButton("al-class", name, () => act(label), keys[label]);
      button.setAttribute("aria-keyshortcuts", keys[label]);
      return button;
    }));
    names.replaceChildren(...[...classes, ""].map((name, number) => {
      const row = make("form", "al-name");
      const text = make("input", "", "", {
        "aria-label": name ? `New name of ${name}` : "Name of a new class", "data-lm-suppress-shortcuts": "true",
      });
      text.value = name;
      const button = makeButton("al-action", name ? "Rename" : "Add", () => {});
      button.type = "submit";
      row.append(text, button);
      row.addEventListener("submit", (event) => {
        event.preventDefault();
        if (text.value !== name && sent === null) ask({ kind: "class", number, name: text.value });
      });
      return row;
    }));
    if (typing) root.focus({ preventScroll: true }); // what had the focus has gone
    refresh();
  }

  // Where the person looks: below the image, or at the names of the classes.
  function say(text, bad = false, place = words) {
    if (told.parentNode !== place) place.append(told);
    note.textContent = bad ? "" : text;
    trouble.textContent = bad ? text : "";
  }

  function refresh() {
    const asking = shown !== null;
    figure.classList.toggle("al-empty", !asking);
    caption.hidden = image.hidden = !asking;
    waiting.textContent = asking ? "" : status || model.get("status");
    for (const button of [...answers.children, buttons.skip, buttons["cannot tell"], buttons.guess])
      button.setAttribute("aria-disabled", String(!asking || sent !== null));
    buttons.stop.setAttribute("aria-disabled", String(!model.get("asking") || sent !== null));
    log.textContent = model.get("log");
    log.hidden = !log.textContent;
    log.scrollTop = log.scrollHeight;
  }

  // ---- How the image is shown

  function look() {
    const { naturalWidth: width, naturalHeight: height } = image;
    if (!width) return;
    // As large as the frame, whose size the window gives. Its border counts, its scroll bars do not.
    const fit = Math.min((frame.offsetWidth - 2) / width, (frame.offsetHeight - 2) / height, COARSE);
    const zoom = 1.25 ** steps;
    image.style.width = `${Math.floor(fit * width * zoom)}px`;
    image.classList.toggle("al-coarse", fit * zoom > 2); // few pixels are shown as such
    frame.tabIndex = steps > 0 ? 0 : -1; // then arrow keys scroll it
    image.style.filter = stretched ? stretch(image) : "";
    buttons.contrast.setAttribute("aria-pressed", String(stretched));
    frame.scrollLeft = (frame.scrollWidth - frame.clientWidth) / 2;
    frame.scrollTop = (frame.scrollHeight - frame.clientHeight) / 2;
  }

  function change(action) {
    if (action === "contrast") stretched = !stretched;
    else if (steps !== STEPS[action]) steps += action === "larger" ? 1 : -1;
    look();
  }

  image.addEventListener("load", look);
  let width = 0;
  const resized = new ResizeObserver(() => {
    if (width !== root.clientWidth) look();
    width = root.clientWidth;
  });
  resized.observe(root);

  // ---- What the kernel says

  function keep(content, buffers) {
    content.sent.forEach((digest, i) => {
      if (!urls.has(digest)) urls.set(digest, URL.createObjectURL(new Blob([buffers[i]])));
    });
  }

  function show(content, buffers) {
    const same = shown !== null && shown === content.image;
    keep(content, buffers);
    shown = content.image;
    status = content.status;
    if (!same) {
      since = null;
      delete image.dataset.seen;
    }
    if (shown === null) next.replaceChildren();
    else {
      image.src = urls.get(shown);
      image.alt = `Image to label: ${content.name}`;
      image.dataset.image = shown;
      caption.textContent = content.name;
      if (!same) markWhenPainted(shown);
    }
    progress.textContent = content.progress;
    // What was said of an answer stays until the next, also while the next round begins.
    if (content.note || trouble.textContent || (fleeting && !same)) say(content.note);
    if (early && shown !== null) {
      early = false;
      say(`${note.textContent} An answer that came too early was not taken.`.trim());
    }
  }

  // In a tab that nobody sees there are no frames, so nothing counts as seen.
  async function markWhenPainted(digest) {
    await image.decode().catch(() => {});
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (shown !== digest) return;
      since = performance.now();
      setTimeout(() => { image.dataset.seen = digest; }, GLANCE);
    }));
  }

  function showAhead(content, buffers) {
    keep(content, buffers);
    for (const [digest, url] of urls)
      if (digest !== shown && !content.next.includes(digest)) {
        URL.revokeObjectURL(url);
        urls.delete(digest);
      }
    next.replaceChildren(...content.next.filter((digest) => urls.has(digest)).map((digest) => {
      const small = make("img", "al-small", "", { alt: "" });
      small.src = urls.get(digest);
      return small;
    }));
  }

  function receive(content, buffers) {
    if (content.to !== view) return;
    if (content.kind === "ahead") return showAhead(content, buffers);
    const classNamed = sent?.kind === "class";
    sent = null;
    clearTimeout(patience);
    if (content.kind === "show") show(content, buffers);
    else say(content.note, content.kind === "trouble", classNamed ? aboutNames : words);
    if (classNamed && content.kind === "said") root.focus({ preventScroll: true });
    fleeting = content.kind === "guess" || (fleeting && !content.note);
    refresh();
  }

  // ---- What the person does

  function send(content) {
    model.send({ view, tab, has: [...urls.keys()], ...content });
  }

  // What needs no answer may go reportNoAnswer: a kernel that has ended is told of when the person does something.
  function trySend(kind) {
    try {
      send({ kind, image: shown });
    } catch {}
  }

  function act(what) {
    const action = typeof what === "number" ? "label" : what;
    if (LOOKS.some(([look]) => look === action)) return change(action);
    if (sent !== null || (shown === null && !["undo", "stop"].includes(action))) {
      early ||= ANSWERS.includes(action);
      return;
    }
    if (action === "stop" && !model.get("asking")) return;
    if (ANSWERS.includes(action) && image.dataset.seen !== shown)
      return say("Too early: that answer was not taken. Look, and answer again.");
    ask({ kind: action, image: shown, label: action === "label" ? what : null, milliseconds: Math.round(performance.now() - since) });
  }

  function ask(content) {
    sent = content;
    early = false;
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
    active = performance.now();
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    event.stopPropagation(); // JupyterLab has shortcuts for most letters and digits: d d deletes the cell
    if (event.target === frame && event.key.startsWith("Arrow")) return;
    if (event.target.matches("input") || event.isComposing || event.keyCode === 229) return;
    if (event.repeat && ["Enter", " "].includes(event.key)) event.preventDefault(); // would press a button again
    const what = meaning(event, model.get("shortcuts"));
    if (what === undefined) return;
    event.preventDefault();
    if (!event.repeat) act(what);
  }

  root.addEventListener("keydown", onKey);
  for (const kind of ["pointermove", "pointerdown", "wheel"])
    root.addEventListener(kind, () => { active = performance.now(); }, { passive: true });
  // A click anywhere in the widget lets the keys work, without a button keeping the focus on what is past.
  root.addEventListener("mousedown", (event) => event.stopPropagation());
  root.addEventListener("click", (event) => {
    if (event.target.closest("button, input, summary, .al-log, .al-frame[tabindex='0']") === null) root.focus({ preventScroll: true });
  });
  log.dataset.lmSuppressShortcuts = "true";
  model.on("msg:custom", receive);
  const onBatch = () => trySend("next");
  model.on("change:batch", onBatch);
  model.on("change:status change:log change:asking", refresh);
  model.on("change:classes", showClasses);
  const idle = () => !document.hidden && sent === null;
  const here = () => performance.now() - active < AWAY;
  const timers = [
    setInterval(() => idle() && here() && shown !== null && trySend("hold"), HOLD),
    setInterval(() => idle() && shown === null && model.get("asking") && trySend("next"), POLL),
  ];
  showClasses();
  trySend("next");

  return () => {
    if (closed) return;
    closed = true;
    trySend("leave");
    timers.forEach(clearInterval);
    clearTimeout(patience);
    resized.disconnect();
    urls.forEach((url) => URL.revokeObjectURL(url));
    model.off("msg:custom", receive);
    model.off("change:batch", onBatch);
    model.off("change:status change:log change:asking", refresh);
    model.off("change:classes", showClasses);
  };
}

export default { render };
