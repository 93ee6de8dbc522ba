"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const player = byId("player");
  const WORDS = { audio: "voice", image: "face" };
  const GROUPS = { all: "Every probe", best: "Best probes", worst: "Worst probes", random: "Probes drawn at random" };
  const MARKS = { match: "M5.5,10.5 L8.7,13.7 L14.5,6.8", mismatch: "M6.5,6.5 L13.5,13.5 M13.5,6.5 L6.5,13.5" };
  let playing = null;

  // Text from the data enters as text nodes and attribute values only, never as markup.
  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function drawing(box, ...paths) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", box);
    svg.setAttribute("aria-hidden", "true");
    for (const [name, attributes] of paths) {
      const path = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) path.setAttribute(key, value);
      svg.append(path);
    }
    return svg;
  }

  const mark = (kind) => drawing("0 0 20 20", ["circle", { cx: 10, cy: 10, r: 9 }], ["path", { d: MARKS[kind] }]);
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  const many = (count, word) => `${count} ${word}${count === 1 ? "" : word.endsWith("h") ? "es" : "s"}`;

  function stop() {
    if (playing) {
      playing.setAttribute("aria-pressed", "false");
      playing.style.removeProperty("--heard");
      playing = null;
    }
    player.pause();
  }

  function toggle(button, item) {
    const again = playing === button;
    stop();
    if (again) return;
    playing = button;
    button.setAttribute("aria-pressed", "true");
    player.src = item.src;
    player.play().catch((error) => {
      if (playing !== button || error.name === "AbortError") return;
      stop();
      byId("status").textContent = `This browser cannot play the sound (${error.message}).`;
    });
  }

  player.addEventListener("ended", stop);
  player.addEventListener("timeupdate", () => {
    if (playing && player.duration) {
      playing.style.setProperty("--heard", `${(100 * player.currentTime) / player.duration}%`);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stop();
  });

  // A picture, or a button that draws the recording and plays it.
  function show(item, name) {
    if (item.peaks === undefined) {
      return element("img", { src: item.src, alt: name, decoding: "async" });
    }
    const step = 100 / item.peaks.length;
    const bars = item.peaks
      .map((peak, i) => `M${((i + 0.5) * step).toFixed(1)},${(34 - peak * 0.15).toFixed(1)}V${(34 + peak * 0.15).toFixed(1)}`)
      .join("");
    const button = element("button", { type: "button", class: "play", "aria-pressed": "false", "aria-label": `Play ${name}` });
    button.append(
      drawing(
        "0 0 100 56",
        ["path", { d: bars }],
        ["path", { d: bars, class: "heard" }],
        ["path", { d: "M45,3L57,9L45,15Z", class: "sign go" }],
        ["path", { d: "M45,4H56V15H45Z", class: "sign stop" }],
      ),
    );
    button.addEventListener("click", () => toggle(button, item));
    return button;
  }

  function hitCard([index, score, match], rank, word) {
    const item = data.items[index];
    const kind = match ? "match" : "mismatch";
    const badge = element("span", { class: "mark" }, mark(kind));
    return element(
      "li",
      { class: `hit ${kind}`, title: `${item.who}, ${item.id}` },
      element("span", { class: "rank", "aria-hidden": "true" }, String(rank)),
      badge,
      show(item, `${word} of ${item.who}, rank ${rank}, ${kind}`),
      element("b", {}, kind),
      element("span", { class: "score" }, score.toFixed(3)),
      element("span", { class: "who" }, item.who),
    );
  }

  function probeCard(task, probe, number) {
    const item = data.items[probe.item];
    const facts = [
      ["AP ", element("b", {}, percent(probe.ap)), item.gender ? `, ${item.gender}` : ""],
      [probe.first === null ? "no match in the gallery" : `first match at rank ${probe.first}`],
      [`${many(probe.relevant, "match")} among ${probe.gallery}`],
    ];
    const title = element("h4", { id: `probe-${number}` }, item.who);
    const about = element("div", {}, title, element("div", { class: "small" }, item.id));
    about.append(element("ul", { class: "facts" }, ...facts.map((fact) => element("li", {}, ...fact))));
    const ask = element("div", { class: "ask" }, show(item, `probe, ${WORDS[task.ask]} of ${item.who}`), about);
    const word = WORDS[task.answer];
    const hits = probe.hits.map((hit, i) => hitCard(hit, i + 1, word));
    return element(
      "article",
      { class: "probe", "aria-labelledby": `probe-${number}` },
      ask,
      element("ol", { class: "hits", "aria-label": `closest ${word}s, closest first` }, ...hits),
    );
  }

  const ORDERS = {
    // A sample that began with its best would not look like one.
    grouped: (group) => (group === "worst" ? ORDERS.low() : group === "random" ? ORDERS.name() : ORDERS.high()),
    high: () => (a, b) => b.ap - a.ap,
    low: () => (a, b) => a.ap - b.ap,
    name: () => (a, b) => data.items[a.item].who.localeCompare(data.items[b.item].who),
  };

  function render() {
    stop();
    const task = data.tasks[Number(document.querySelector("input[name=task]:checked").value)];
    const wanted = byId("group").value;
    const gender = byId("gender").value;
    const shown = new Set();
    const blocks = [];
    for (const group of Object.keys(GROUPS)) {
      if (wanted && wanted !== group) continue;
      const members = task.probes
        .filter((probe) => probe.groups.includes(group))
        .filter((probe) => !gender || data.items[probe.item].gender === gender)
        .sort(ORDERS[byId("sort").value](group));
      if (!members.length) continue;
      blocks.push(element("h3", {}, `${GROUPS[group]} (${members.length})`));
      for (const probe of members) {
        shown.add(probe);
        blocks.push(probeCard(task, probe, blocks.length));
      }
    }
    byId("probes").replaceChildren(...blocks);
    byId("status").textContent =
      `${task.name}: ${many(shown.size, "probe")} shown of ${task.total}.` +
      (shown.size ? "" : " No probe fits this choice: choose another gender or other probes.");
  }

  function choices(select, options) {
    select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  }

  data.tasks.forEach((task, i) => {
    const radio = element("input", { type: "radio", name: "task", value: i });
    radio.checked = i === 0;
    byId("directions").append(element("label", {}, radio, task.name));
  });
  const present = Object.keys(GROUPS).filter((g) => data.tasks.some((t) => t.probes.some((p) => p.groups.includes(g))));
  choices(byId("group"), [["", "all shown"], ...present.map((group) => [group, GROUPS[group].toLowerCase()])]);
  byId("group").parentElement.hidden = present.length < 2;
  choices(byId("gender"), [["", "all"], ...data.genders.map((gender) => [gender, gender])]);
  byId("gender-field").hidden = data.genders.length < 2;
  for (const place of document.querySelectorAll("[data-mark]")) place.append(mark(place.dataset.mark));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("controls").addEventListener("change", render);
  byId("controls").hidden = false;
  render();
})();
