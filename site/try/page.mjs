// Starts the page: unpacks the images beside it, then lets the parts begin.
import { app, changed, notice, onChange, settingsFromAddress } from "./app.mjs";
import { setUpArticle } from "./article.mjs";
import { setUpCompare } from "./compare.mjs";
import { setUpDeal } from "./deal.mjs";
import { $, number, show, t } from "./dom.mjs";
import { setUpIdea } from "./idea.mjs";
import { saveFile, start } from "./jobs.mjs";
import { forget, readyToLabel, save, setUpLabel, takeUpKept } from "./label.mjs";
import { toCsv, writeFragment } from "./state.mjs";

function setUpTake() {
  $("name").value ||= t("default_name");
  $("name").onchange = save;
  const address = () => location.href.replace(/#.*$/, "") + writeFragment(app.settings);
  $("copy").onclick = async () => {
    try {
      await navigator.clipboard.writeText(address());
      $("copied").textContent = t("copied");
    } catch {
      $("copied").textContent = `${t("copy_this")} ${address()}`;
    }
  };
  $("csv").onclick = () => {
    const name = $("name").value.trim() || t("default_name");
    saveFile(toCsv(app.answers, app.images.digests, name), "labels-from-try.csv", "text/csv");
  };
  $("print").onclick = () => print();
  $("clear").onclick = () => {
    forget();
    $("take-said").textContent = t("cleared");
  };
  onChange(() => {
    const { seed, query, batch } = app.settings;
    const n = app.answers.length;
    $("csv").disabled = !n || !app.images;
    $("csv").textContent = n ? t("csv", { n }) : t("csv_none");
    $("printed-text").textContent = t("sheet_text", { seed, query, batch, n });
  }, { answers: true });
}

/** Links inside the page scroll, and leave the settings in the address alone. */
function setUpLinks() {
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const title = $(`${link.hash.slice(1)}-title`);
      title.scrollIntoView();
      title.focus({ preventScroll: true });
    });
  }
}

async function begin() {
  settingsFromAddress();
  // A link to a race comes before a race that was kept, unless they are the same.
  const linked = location.hash.includes("=");
  number(0); // the first one loads what formats numbers, and takes as long as a chart
  for (const setUp of [setUpIdea, setUpLabel, setUpCompare, setUpDeal, setUpArticle, setUpTake, setUpLinks]) {
    setUp();
    await new Promise((resume) => setTimeout(resume)); // a click in between need not wait for all of them
  }
  if (!linked) takeUpKept();
  changed();
  try {
    if (typeof Worker === "undefined" || typeof DecompressionStream === "undefined") throw new Error("DecompressionStream");
    app.images = await start("unpack", { packed: $("packed").textContent }).promise;
  } catch (problem) {
    notice(t("too_old", { reason: problem.message }));
    for (const part of document.querySelectorAll(".interactive")) show(part, false);
    return;
  }
  changed();
  await readyToLabel();
}

begin();
