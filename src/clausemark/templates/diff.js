"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  document.documentElement.classList.add("js");
  const only = $("#only");
  if (!only) return;

  const changes = $$(".change");
  const kinds = $$(".filter input");
  let current = null;

  // What is shown: changes of the kinds and the category that were chosen, and headings above any.
  function filter() {
    const wanted = new Set(kinds.filter((box) => box.checked).map((box) => box.value));
    const all = !only.value && wanted.size === kinds.length;
    for (const change of changes) {
      const { kind, codes } = change.dataset;
      change.hidden = !wanted.has(kind) || Boolean(only.value && !codes.split(" ").includes(only.value));
    }
    let under = null;
    for (const entry of $(".changes").children) {
      if (entry.matches(".under")) {
        under = entry;
        under.hidden = true;
      } else if (entry.matches(".run")) entry.hidden = !all;
      else if (!entry.hidden && under) under.hidden = false;
    }
    mark(current && !current.hidden ? current : null);
  }

  function mark(change) {
    if (current) current.classList.remove("on");
    current = change;
    if (current) current.classList.add("on");
    const seen = changes.filter((other) => !other.hidden);
    const number = seen.length.toLocaleString("en");
    $("#shown").textContent = current
      ? `${(seen.indexOf(current) + 1).toLocaleString("en")} of ${number}`
      : `${number} change${seen.length === 1 ? "" : "s"}`;
  }

  // The next change is that after the marked one, or the first below the bar.
  function hop(step) {
    const seen = changes.filter((change) => !change.hidden);
    const edge = $(".filter").getBoundingClientRect().bottom;
    const below = seen.findIndex((change) => change.getBoundingClientRect().bottom > edge);
    const here = below < 0 ? seen.length : below;
    const target = seen[current ? seen.indexOf(current) + step : step > 0 ? here : here - 1];
    if (!target) return;
    mark(target);
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: target.getBoundingClientRect().height > innerHeight * 0.6 ? "start" : "center" });
  }

  for (const box of kinds) box.addEventListener("change", filter);
  only.addEventListener("change", filter);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-only]");
    const button = event.target.closest("[data-do]");
    const change = event.target.closest(".change");
    if (link) {
      for (const box of kinds) box.checked = true;
      only.value = link.dataset.only;
      filter();
    } else if (button) hop(button.dataset.do === "next" ? 1 : -1);
    else if (change && getSelection().isCollapsed) mark(change);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === only) return;
    if (event.key === "j" || event.key === "k") hop(event.key === "j" ? 1 : -1);
    else if (event.key === "Escape") {
      only.value = "";
      for (const box of kinds) box.checked = true;
      mark(null);
      filter();
    } else return;
    event.preventDefault();
  });
  filter(); // what a browser remembered of the controls
})();
