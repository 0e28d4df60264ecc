"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const root = document.documentElement;
  root.classList.add("js");

  const data = JSON.parse($("#data").textContent);
  const clauses = $$(".text [data-l]");
  const given = clauses.map((clause) => clause.dataset.l.split(" "));
  const unsure = clauses.map((clause) => clause.classList.contains("u"));
  const everything = clauses.map((_, i) => i);
  // The least certain first: there may be many, and a reader's time is short.
  const best = clauses.map((clause) => Math.max(...scores(clause).values()));
  const uncertain = everything.filter((i) => unsure[i]).sort((a, b) => best[a] - best[b]);
  const rows = new Map($$(".categories li").map((row) => [row.dataset.code, row]));
  const present = data.codes.filter((code) => given.some((codes) => codes.includes(code)));
  const members = new Map(present.map((code) => [code, everything.filter((i) => given[i].includes(code))]));
  const shown = new Set(present);
  const names = new Map(data.codes.map((code, place) => [code, data.names[place]]));

  const over = matchMedia("(max-width: 76rem)"); // the scores lie over the text

  let current = -1; // the clause whose scores are shown
  let chosen = null; // the category that the arrows walk through
  let hits = [];
  let hit = -1;

  // Where the clauses are -------------------------------------------------------------------------

  // First position in a sorted list that is true.
  function first(size, test) {
    let low = 0;
    let high = size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
  const firstSeen = () => first(clauses.length, (i) => clauses[i].getBoundingClientRect().bottom > 0);
  const firstBelow = () => first(clauses.length, (i) => clauses[i].getBoundingClientRect().top >= innerHeight);

  // Going from clause to clause ---------------------------------------------------------------------

  function show(i, { focus = true, scroll = true } = {}) {
    if (current >= 0) {
      clauses[current].classList.remove("on");
      clauses[current].tabIndex = -1;
    }
    current = i;
    const clause = clauses[i];
    clause.classList.add("on");
    clause.tabIndex = 0;
    describe(i);
    if (scroll) clause.scrollIntoView({ block: clause.getBoundingClientRect().height > innerHeight * 0.6 ? "start" : "center" });
    else if (over.matches) clause.scrollIntoView({ block: "nearest" });
    if (focus) clause.focus({ preventScroll: true });
    progress();
    view();
  }

  function release() {
    if (current >= 0) clauses[current].classList.remove("on");
    current = -1;
    $("#detail").hidden = true;
    root.classList.remove("asking");
    progress();
  }

  // The neighbour of where the reader is in a list of clauses; round at the ends.
  function neighbour(list, step) {
    if (!list.length) return -1;
    if (current < 0) {
      const seen = firstSeen();
      const at = first(list.length, (n) => list[n] >= seen);
      return list[(step > 0 ? at : at - 1 + list.length) % list.length];
    }
    const at = first(list.length, (n) => list[n] >= current);
    const here = list[at] === current;
    return list[(step > 0 ? at + (here ? 1 : 0) : at - 1 + list.length) % list.length];
  }

  function walk(list, step) {
    const i = neighbour(list, step);
    if (i >= 0) show(i);
  }

  let doubted = -1;
  function doubtful(step) {
    const size = uncertain.length;
    if (!size) return;
    doubted = (Math.max(doubted, step > 0 ? -1 : 0) + step + size) % size;
    show(uncertain[doubted]);
  }

  const steps = (step) => walk(chosen ? members.get(chosen) : everything, step);

  // Categories --------------------------------------------------------------------------------------

  function choose(code) {
    chosen = code;
    for (const [name, row] of rows) {
      row.classList.toggle("chosen", name === code);
      $(".pick", row).setAttribute("aria-pressed", String(name === code));
    }
    progress();
  }

  const alone = () => chosen && shown.size === 1 && shown.has(chosen);

  function progress() {
    $("#steps").hidden = !chosen;
    const label = $("[data-do=panel]");
    if (!chosen) {
      label.textContent = "Categories & search";
      return;
    }
    const list = members.get(chosen);
    const at = list.indexOf(current);
    const name = names.get(chosen);
    $("#step-name").textContent = at < 0 ? `${name}, ${list.length}` : `${name}, ${at + 1} of ${list.length}`;
    label.textContent = `${chosen} ${at < 0 ? "" : `${at + 1} of `}${list.length}`;
    $("[data-do=only]").setAttribute("aria-pressed", String(alone()));
  }

  function paint() {
    for (const [code, row] of rows) $("input", row).checked = shown.has(code) || !members.has(code);
    for (const i of everything) {
      const visible = given[i].filter((code) => shown.has(code));
      const looks = (visible[0] || "off") + (unsure[i] ? " u" : "") + (i === current ? " on" : "") + (fallback.has(i) ? " hit" : "");
      if (clauses[i].className !== looks) clauses[i].className = looks;
      if (clauses[i].dataset.l !== visible.join(" ")) clauses[i].dataset.l = visible.join(" ");
    }
    progress();
    draw();
  }

  function display(codes) {
    shown.clear();
    for (const code of codes) shown.add(code);
    paint();
  }

  function only(code) {
    if (code !== chosen) choose(code);
    display([code]);
  }

  // The chosen clause ---------------------------------------------------------------------------------

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  function scores(clause) {
    const found = new Map(data.codes.map((code) => [code, 0]));
    for (const [, letter, value] of clause.dataset.s.matchAll(/([a-l])(\d+)/g)) {
      found.set(data.codes[letter.charCodeAt(0) - 97], Number(value) / 100);
    }
    return found;
  }

  function heading(i) {
    while (i >= 0 && !/^H/.test(clauses[i].parentNode.tagName)) i -= 1;
    return i;
  }

  function describe(i) {
    const clause = clauses[i];
    $("#where").textContent = `Clause ${i + 1} of ${clauses.length}`;
    const above = heading(i);
    $("#under").textContent = above >= 0 && above !== i ? clauses[above].textContent.slice(0, 120) : "";
    const ranked = [...scores(clause)].sort((a, b) => b[1] - a[1]);
    const rank = uncertain.indexOf(i) + 1;
    $("#doubt").hidden = !rank;
    $("#doubt").textContent = `The model is not sure of ${names.get(ranked[0][0])}: ${rank} of ${uncertain.length} such clauses, the least sure first.`;
    const body = $("#scores");
    body.textContent = "";
    let left = 0;
    ranked.forEach(([code, score], rank) => {
      if (rank > 2 && score < 0.02) {
        left += 1;
        return;
      }
      const place = data.codes.indexOf(code);
      const row = make("tr", given[i].includes(code) ? `given ${code}` : code);
      const name = make("th");
      name.scope = "row";
      name.title = names.get(code);
      name.append(make("span", `chip ${code}`, code));
      const cell = make("td");
      const meter = make("div", "meter");
      const bar = make("i");
      bar.style.width = `${100 * score}%`;
      meter.append(bar);
      if (data.thresholds) {
        const tick = make("b");
        tick.style.left = `${100 * data.thresholds[place]}%`;
        tick.title = `given from ${data.thresholds[place].toFixed(2)}`;
        meter.append(tick);
      }
      cell.append(meter);
      row.append(name, cell, make("td", "", score.toFixed(2)));
      body.append(row);
    });
    $("#rest").textContent = left ? `The other ${left} have less than 0.02.` : "";
    $("#legend").hidden = !data.thresholds;
    const words = data.explanations[i];
    $("#words").hidden = !words;
    const list = $("#words ul");
    list.textContent = "";
    for (const [word, weight] of words || []) {
      const item = make("li", "", word);
      item.append(make("span", "", (weight < 0 ? "−" : "+") + Math.abs(weight).toFixed(2)));
      list.append(item);
    }
    $("#detail").hidden = false;
    root.classList.add("asking");
    closePanel();
  }

  // Search --------------------------------------------------------------------------------------------

  const box = $("#search");
  const highlights = window.CSS && CSS.highlights && window.Highlight;
  const fallback = new Set(); // clauses to mark whole where the browser cannot mark words

  let likely = []; // categories whose clauses come first

  // A pattern for words that begin so, and for other forms of the word: "deletion" finds "deleted".
  function forms(word) {
    const escape = (text) => text.replace(/[.*+?^${}()|[\]\\\/-]/g, "\\$&").replace(/\s+/g, "\\s+");
    const [, stem, ending] = /^(.{4,}?)(ies|y|ions?|ings?|ed|es|e|s)$/iu.exec(word) || [];
    if (!stem) return escape(word);
    const endings = /y|ies/i.test(ending) ? "y|ies" : "ions?|ings?|ed|es?|s|";
    return `${escape(word)}|${escape(stem)}(?:${endings})(?![\\p{L}\\p{N}])`;
  }

  function search() {
    const words = box.value.split("|").map((word) => word.trim()).filter(Boolean);
    const places = new Map();
    hits = [];
    hit = -1;
    if (highlights) CSS.highlights.delete("found");
    for (const i of fallback) clauses[i].classList.remove("hit");
    fallback.clear();
    if (words.length) {
      const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.map(forms).join("|")})[\\p{L}\\p{N}]*`, "giu");
      const ranges = [];
      for (const i of everything) {
        const node = clauses[i].firstChild;
        if (!node) continue;
        for (const match of node.data.matchAll(pattern)) {
          if (!places.has(i)) places.set(i, match);
          if (highlights && ranges.length < 5000) {
            const range = new Range();
            range.setStart(node, match.index);
            range.setEnd(node, match.index + match[0].length);
            ranges.push(range);
          }
        }
      }
      const answers = (i) => given[i].filter((code) => likely.includes(code)).map((code) => scores(clauses[i]).get(code));
      const rank = new Map([...places.keys()].map((i) => [i, Math.max(0, ...answers(i))]));
      hits = [...rank.keys()].sort((a, b) => rank.get(b) - rank.get(a));
      if (highlights) CSS.highlights.set("found", new Highlight(...ranges));
      else for (const i of hits) fallback.add(i), clauses[i].classList.add("hit");
    }
    list(places);
    report();
    draw();
  }

  function list(places) {
    $("#results").hidden = !hits.length;
    $("#results").replaceChildren(...hits.slice(0, 100).map((i) => {
      const { 0: word, index, input } = places.get(i);
      const start = index > 50 ? input.indexOf(" ", index - 50) + 1 || index : 0;
      const button = make("button");
      button.type = "button";
      button.dataset.hit = i;
      const code = given[i].find((found) => likely.includes(found)) || given[i][0];
      const rest = input.slice(index + word.length);
      const after = rest.length > 90 ? `${rest.slice(0, 90).replace(/\s+\S*$/, "")} …` : rest;
      const before = `${start ? "… " : ""}${input.slice(Math.min(start, index), index)}`;
      button.append(make("span", `chip ${code}`, unsure[i] ? `${code}?` : code), ` ${before}`, make("mark", "", word), after);
      const item = make("li");
      item.append(button);
      return item;
    }));
  }

  function report() {
    const missed = likely.length && !hits.some((i) => given[i].some((code) => likely.includes(code)));
    for (const button of $$("#results button")) {
      const here = Number(button.dataset.hit) === hits[hit];
      button.setAttribute("aria-current", String(here));
      if (here) button.scrollIntoView({ block: "nearest" });
    }
    $(".hop").hidden = !hits.length;
    $("#found").textContent = !box.value.trim()
      ? ""
      : !hits.length
        ? "not in this policy"
        : hit < 0
          ? `in ${hits.length} clause${hits.length > 1 ? "s" : ""}${missed ? `, none on ${likely.map((code) => names.get(code)).join(" or ")}` : ""}`
          : `${hit + 1} of ${hits.length}`;
  }

  function hop(step) {
    if (!hits.length) return;
    jump(hit < 0 ? (step > 0 ? 0 : hits.length - 1) : (hit + step + hits.length) % hits.length);
  }

  function jump(to) {
    hit = to;
    const panelOpen = $("#panel").classList.contains("open");
    show(hits[hit], { focus: false });
    if (panelOpen) release();
    report();
  }

  let waiting = 0;
  box.addEventListener("input", () => {
    clearTimeout(waiting);
    likely = [];
    waiting = setTimeout(search, 80);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    clearTimeout(waiting);
    if (hit < 0) search();
    hop(event.shiftKey ? -1 : 1);
  });

  // The strip -----------------------------------------------------------------------------------------

  const strip = $("#strip");
  const canvas = $("canvas", strip);
  const ends = [];
  let length = 0;
  for (const clause of clauses) {
    length += clause.textContent.length + 24; // short clauses are to be seen, too
    ends.push(length);
  }
  const startOf = (i) => (i ? ends[i - 1] : 0);

  // A lane for each category, so that the strip reads without telling colours apart.
  function draw() {
    const { width, height } = strip.getBoundingClientRect();
    if (!width || !clauses.length) return;
    const ratio = devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const colours = new Map([...rows].map(([code, row]) => [code, getComputedStyle(row).getPropertyValue("--mark")]));
    const lanes = width >= 40;
    const lane = (width - 8) / data.codes.length;
    const ink = getComputedStyle(document.body).getPropertyValue("--ink");
    for (const i of everything) {
      const top = (startOf(i) / length) * height;
      const tall = Math.max(1.5, ((ends[i] - startOf(i)) / length) * height - 0.4);
      for (const code of lanes ? given[i] : given[i].slice(0, 1)) {
        if (!shown.has(code)) continue;
        pen.fillStyle = colours.get(code);
        if (lanes) pen.fillRect(4 + lane * data.codes.indexOf(code), top, lane - 0.6, tall);
        else pen.fillRect(3, top, width - 3, tall);
      }
    }
    pen.fillStyle = ink;
    for (const i of hits) pen.fillRect(0, (startOf(i) / length) * height, 3, 2);
  }

  function view() {
    const from = firstSeen();
    const to = firstBelow();
    const height = strip.clientHeight;
    const thumb = $(".thumb", strip);
    const empty = from >= to;
    thumb.hidden = empty;
    if (empty) return;
    thumb.style.top = `${(startOf(from) / length) * height}px`;
    thumb.style.height = `${((ends[to - 1] - startOf(from)) / length) * height}px`;
  }

  let framed = 0;
  addEventListener("scroll", () => {
    framed = framed || requestAnimationFrame(() => {
      framed = 0;
      view();
    });
  }, { passive: true });
  addEventListener("resize", () => (draw(), view()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  function drag(event) {
    const { top, height } = strip.getBoundingClientRect();
    const target = (Math.min(1, Math.max(0, (event.clientY - top) / height))) * length;
    const i = Math.min(clauses.length - 1, first(clauses.length, (n) => ends[n] >= target));
    if (i >= 0) clauses[i].scrollIntoView({ block: "center" });
  }
  strip.addEventListener("pointerdown", (event) => {
    strip.setPointerCapture(event.pointerId);
    drag(event);
  });
  strip.addEventListener("pointermove", (event) => {
    if (strip.hasPointerCapture(event.pointerId)) drag(event);
  });

  // Hands ---------------------------------------------------------------------------------------------

  const panel = $("#panel");
  function closePanel() {
    panel.classList.remove("open");
    $("[data-do=panel]").setAttribute("aria-expanded", "false");
  }

  const actions = {
    "hit-next": () => hop(1),
    "hit-back": () => hop(-1),
    all: () => display(present),
    none: () => display([]),
    next: () => steps(1),
    back: () => steps(-1),
    only: () => (alone() ? display(present) : chosen && only(chosen)),
    uncertain: () => doubtful(1),
    help: () => $("#help").showModal(),
    close: release,
    panel: () => {
      const open = panel.classList.toggle("open");
      $("[data-do=panel]").setAttribute("aria-expanded", String(open));
      if (open) release();
    },
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button && button.dataset.do) return actions[button.dataset.do]();
    if (button && button.dataset.words) {
      box.value = button.dataset.words;
      likely = button.dataset.codes.split(" ");
      return search();
    }
    if (button && button.dataset.hit) return jump(hits.indexOf(Number(button.dataset.hit)));
    if (button && button.dataset.only) {
      only(button.dataset.only);
      return show(members.get(chosen)[0]);
    }
    if (button && button.classList.contains("pick")) {
      const code = button.closest("li").dataset.code;
      if (chosen === code && current < 0) return choose(null);
      choose(code);
      return show(chosen === code && members.get(code).includes(current) ? neighbour(members.get(code), 1) : members.get(code)[0], { focus: false });
    }
    const link = event.target.closest("a[href^='#c']");
    if (link) {
      event.preventDefault();
      return show(Number(link.hash.slice(2)));
    }
    const clause = event.target.closest(".text [data-l]");
    if (clause && String(getSelection()) === "") show(clauses.indexOf(clause), { scroll: false });
  });

  panel.addEventListener("change", (event) => {
    const row = event.target.closest(".categories li");
    if (!row) return;
    if (event.target.checked) shown.add(row.dataset.code);
    else shown.delete(row.dataset.code);
    paint();
  });

  // A clause reached with Tab shows its scores, too.
  $(".text").addEventListener("focusin", (event) => {
    const i = clauses.indexOf(event.target);
    if (i >= 0 && i !== current) show(i, { focus: false, scroll: false });
  });

  function turn(step) {
    const at = chosen ? present.indexOf(chosen) + step : step > 0 ? 0 : present.length - 1;
    choose(present[(at + present.length) % present.length]);
    if (shown.size === 1) display([chosen]);
    show(members.get(chosen)[0]);
  }

  const keys = {
    j: () => steps(1),
    k: () => steps(-1),
    c: () => present.length && turn(1),
    C: () => present.length && turn(-1),
    o: actions.only,
    u: () => doubtful(1),
    U: () => doubtful(-1),
    s: () => {
      release();
      scrollTo(0, 0);
    },
    "?": actions.help,
    "/": () => {
      if (!box.offsetParent) actions.panel();
      box.focus();
      box.select();
    },
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("#help").open) return;
    if (event.key === "Escape") {
      if (event.target === box || box.value) {
        box.value = "";
        search();
        box.blur();
      }
      closePanel();
      if (current >= 0) release();
      else {
        choose(null);
        display(present);
      }
      return;
    }
    if (event.target === box || !$("#keys").checked || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  if (clauses.length) clauses[0].tabIndex = 0;
  choose(null);
  draw();
  view();
  if (/^#c\d+$/.test(location.hash) && $(location.hash)) show(Number(location.hash.slice(2)));
})();
