// Part 1: six digits, and what a model with a hundred labels thinks of them.
import { $, FACTS, percent, t } from "./dom.mjs";

const PLACES = ["first", "second", "third", "fourth", "fifth", "sixth"];

export function setUpIdea() {
  const { six } = FACTS.idea;
  const buttons = [...$("six").children];
  const sure = six.map(({ guesses: [[, proba]] }) => proba);
  const least = sure.indexOf(Math.min(...sure));
  const name = (k) => t(`place_${PLACES[k]}`);
  buttons.forEach((button, k) => {
    const { guesses: [[digit, proba]], label } = six[k];
    button.setAttribute("aria-label", t("six_alt", { place: k + 1 }));
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      buttons.forEach((other, j) => {
        const [[guess, itsProba]] = six[j].guesses;
        other.setAttribute("aria-pressed", String(other === button));
        other.querySelector("span").textContent = t("six_caption", { digit: guess, sure: percent(itsProba, 0) });
      });
      const values = { digit, sure: percent(proba, 0), least: percent(sure[least], 0), place: name(least) };
      let said = t(k === least ? "six_same" : "six_other", values);
      if (digit !== label) said += ` ${t("six_wrong", { digit: label })}`;
      $("six-said").textContent = said;
    });
  });
}
