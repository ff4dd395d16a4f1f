"use strict";
// Draws the plots of a report from its data, opens choices, and zooms pictures. The page reads well without it.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const runs = data.runs, studies = data.studies;
  const percent = value => +(100 * value).toFixed(2) + "%";
  const muted = "var(--soft)", accent = "var(--accent)";
  const tip = { fill: "var(--card)", stroke: "var(--line)" };

  // ---------------------------------------------------------------- plots

  const shared = (width, more) => ({
    width, height: 230, marginLeft: 46, marginBottom: 34, style: { color: "var(--ink)", background: "none", fontSize: "11px" }, ...more,
  });
  const whole = count => ({ label: "epoch", ticks: Math.min(count, 10), tickFormat: value => Number.isInteger(value) ? String(value) : "" });

  function scalars(epochs, kind) {
    return epochs.flatMap(epoch => Object.entries(epoch.scalars)
      .filter(([name, value]) => value !== null && (name === kind || name.startsWith(kind + "/")))
      .map(([name, value]) => ({ epoch: epoch.epoch, value, of: name.split("/").slice(1).join("/") || name })));
  }

  // The metric of a phase over its epochs: of an error the score is the error itself.
  function judged(phase) {
    const metric = phase.metric, said = scalars(phase.epochs, metric.name);
    return said.some(row => row.of === "score") ? said : [...scalars(phase.epochs, "score"), ...said];
  }

  // How values of a metric are written, and an axis of them; several metrics have an axis of numbers.
  const written = (metric, value) => value === null ? "" : metric.share && value >= 0 && value <= 1 ? percent(value) : value.toPrecision(4);
  const sign = metric => metric.larger ? 1 : -1;
  const costs = ["params", "macs", "memory"];
  const axis = metric => metric.share ? { tickFormat: percent } : {};
  const common = judgedBy => judgedBy.every(item => item.metric.share) ? { tickFormat: percent } : {};

  function lines(rows, width, y, more = {}) {
    if (!rows.length) return null;
    const key = more.key || "of", groups = new Set(rows.map(row => row[key]));
    return Plot.plot(shared(width, {
      x: whole(Math.max(...rows.map(row => row.epoch))), y: { grid: true, label: null, ...y },
      color: { legend: groups.size > 1 && groups.size < 13, domain: [...groups] },
      marks: [
        Plot.lineY(rows, { x: "epoch", y: "value", stroke: key, strokeWidth: more.thin ? 1 : 2, strokeOpacity: more.thin ? .45 : 1 }),
        groups.size < 13 && rows.length < 400 ? Plot.dot(rows, { x: "epoch", y: "value", fill: key, r: 2.2 }) : null,
        Plot.tip(rows, Plot.pointer({ x: "epoch", y: "value", title: row => `${row[key]}\nepoch ${row.epoch}: ${(y.tickFormat || (v => v.toPrecision(4)))(row.value)}`, ...tip })),
      ],
      ...more.plot,
    }));
  }

  function strength(moves, epochs, width) {
    const rows = Object.entries(moves.items).flatMap(([item, values]) =>
      values.map((value, at) => ({ epoch: epochs[at].epoch, value, of: item })).filter(row => row.value !== null));
    return lines(rows, width, { tickFormat: percent }, { plot: { height: 190 } });
  }

  function dots(rows, width, options) {
    return rows.length ? Plot.plot(shared(width, options)) : null;
  }

  const kinds = {
    score: (at, width) => lines(judged(at.phase), width, axis(at.phase.metric)),
    loss: (at, width) => lines(scalars(at.phase.epochs, "loss"), width, {}),
    entropy: (at, width) => lines(at.phase.epochs.flatMap(epoch => Object.entries(epoch.entropies)
      .map(([path, value]) => ({ epoch: epoch.epoch, value, of: path }))), width, { domain: entropies(at.phase.epochs) }, { thin: true }),
    changes: (at, width) => {
      const rows = at.phase.epochs.map(epoch => ({ epoch: epoch.epoch, count: Object.keys(epoch.changed).length, paths: Object.keys(epoch.changed).slice(0, 8).join("\n") }));
      const most = d3.max(rows, row => row.count) || 1;
      return dots(rows, width, { x: { label: "epoch", tickFormat: String }, y: { grid: true, label: null, domain: [0, most], ticks: Math.min(most, 6), tickFormat: "d" }, marks: [
        Plot.barY(rows, { x: "epoch", y: "count", fill: accent, fillOpacity: .8, title: row => `epoch ${row.epoch}: ${row.count} changed\n${row.paths}`, tip }), Plot.ruleY([0], { stroke: muted })] });
    },
    trials: (at, width) => {
      const rows = at.phase.trials.filter(trial => trial.score !== null);
      return dots(rows, width, { x: { label: "trial" }, y: { grid: true, label: null }, marks: [
        Plot.dot(rows, { x: "id", y: "score", fill: muted, fillOpacity: .6, r: 2.5 }), Plot.lineY(rows, { x: "id", y: "best", stroke: accent, strokeWidth: 2, curve: "step-after" }),
        Plot.tip(rows, Plot.pointer({ x: "id", y: "score", title: row => `trial ${row.id}\n${at.phase.judged.name} ${written(at.phase.judged, row.score)}\nbest so far ${written(at.phase.judged, row.best)}`, ...tip }))] });
    },
    regret: (at, width) => dots(at.phase.trials.filter(trial => trial.regret !== null), width, { x: { label: "trial" }, y: { grid: true, label: null }, marks: [
      Plot.lineY(at.phase.trials.filter(trial => trial.regret !== null), { x: "id", y: "regret", stroke: accent, strokeWidth: 2, curve: "step-after", tip })] }),
    front: (at, width) => {
      const keys = Object.keys(at.phase.front[0].values), cost = keys.find(key => costs.includes(key)), of = keys.find(key => !costs.includes(key));
      return front(at.phase.front.map(point => ({ file: point.file, x: point.values[cost], y: point.values[of] })), width, cost, at.phase.judged, row => row.file);
    },
    strengths: (at, width) => {
      const near = at.phase.moves.filter(moves => moves.margin !== null).sort((a, b) => a.margin - b.margin).slice(0, 6);
      return facets(near.map(moves => [moves.path, inner => strength(moves, at.phase.epochs, inner)]), width);
    },
    costs: (at, width) => {
      const blocks = at.run.derived.blocks, tables = Object.keys(blocks[0]?.latency || {});
      const costs = [["parameters", block => block.params], ["multiply-adds", block => block.macs], ["activations", block => block.memory],
        ...tables.map(name => [name, block => block.latency[name]])];
      const rows = costs.flatMap(([label, cost]) => {
        const total = d3.sum(blocks, cost) || 1;
        return blocks.map((block, index) => ({ of: label, name: block.name, index, share: (cost(block) || 0) / total, value: cost(block) }));
      });
      return Plot.plot(shared(width, { height: 60 + 30 * costs.length, marginLeft: Math.max(88, 20 + 6 * d3.max(costs, ([label]) => label.length)), x: { label: null, tickFormat: value => Math.round(100 * value) + "%" }, y: { label: null, domain: costs.map(([label]) => label) },
        color: { type: "ordinal", domain: blocks.map(block => block.name), range: blocks.map((_, at) => d3.interpolatePurples(.35 + .55 * at / blocks.length)) },
        marks: [Plot.barX(rows, { x: "share", y: "of", fill: row => row.name, order: "index", inset: .5, title: row => `${row.name}\n${row.of}: ${(row.value || 0).toLocaleString()} (${percent(row.share)})`, tip })] }));
    },
    "training-metric": (at, width) => lines(scalars(at.run.training.epochs, at.run.training.metric.name), width, axis(at.run.training.metric)),
    "training-loss": (at, width) => lines(scalars(at.run.training.epochs, "loss"), width, {}),
    versus: (at, width) => {
      const versus = at.run.versus, every = [versus.architecture, ...versus.random];
      const means = every.map((item, index) => ({ name: item.name, value: d3.mean(item.values), mine: index === 0 })).sort((a, b) => sign(versus.metric) * (b.value - a.value));
      const rows = every.flatMap((item, index) => item.values.map(value => ({ name: item.name, value, mine: index === 0 })));
      return dots(rows, width, { height: 60 + 18 * means.length, marginLeft: 110, x: { grid: true, label: null, ...axis(versus.metric) }, y: { label: null, domain: means.map(item => item.name) }, marks: [
        Plot.ruleX([d3.mean(means.filter(item => !item.mine), item => item.value)], { stroke: muted, strokeDasharray: "4 3" }),
        Plot.dot(rows, { x: "value", y: "name", r: 3, stroke: row => row.mine ? accent : muted }),
        Plot.dot(means, { x: "value", y: "name", r: 5, fill: item => item.mine ? accent : muted, title: item => `${item.name}: ${written(versus.metric, item.value)}`, tip })] });
    },
    "together-score": (at, width) => overlaid(run => run.phases.flatMap(phase => judged(phase).filter(row => row.of === "score").map(row => ({ ...row, phase: phase.name }))), width, common(runs.flatMap(run => run.phases))),
    "together-loss": (at, width) => overlaid(run => run.phases.flatMap(phase => scalars(phase.epochs, "loss").filter(row => row.of === "weights").map(row => ({ ...row, phase: phase.name }))), width, {}),
    "together-entropy": (at, width) => overlaid(run => run.phases.flatMap(phase => phase.epochs.filter(epoch => Object.keys(epoch.entropies).length)
      .map(epoch => ({ epoch: epoch.epoch, value: d3.mean(Object.values(epoch.entropies)), phase: phase.name }))), width, {}),
    "together-training": (at, width) => overlaid(run => run.training ? scalars(run.training.epochs, run.training.metric.name).filter(row => row.of === "train") : [], width, common(runs.flatMap(run => run.training || []))),
    "study-score": (at, width) => intervals(at.study, "score", "judged", width),
    "study-tested": (at, width) => intervals(at.study, "tested", "metric", width),
    "study-front": (at, width) => {
      const value = run => run.tested ?? run.score, of = at.study.rows.some(row => row.means.tested) ? "metric" : "judged";
      const { alike, names } = comparable(at.study, of);
      const rows = at.study.runs.filter(run => names.has(run.combination) && run.params !== null && value(run) !== null).map(run => ({ x: run.params, y: value(run), name: `${run.combination}, seed ${run.seed}`, of: run.combination }));
      return front(rows, width, "parameters", alike.length ? alike[0][of] : null, row => row.name);
    },
  };

  function entropies(epochs) {
    const least = Math.min(1, ...epochs.flatMap(epoch => Object.values(epoch.entropies)));
    return [least > .95 ? Math.min(Math.floor(least * 1000), 999) / 1000 : 0, 1];
  }

  // The combinations of a study that have the metric of its first one that ended.
  function comparable(study, of) {
    const first = study.rows.find(row => row.finished);
    const alike = first ? study.rows.filter(row => row.finished && row[of].name === first[of].name) : [];
    return { alike, names: new Set(alike.map(row => row.combination)) };
  }

  function front(rows, width, x, metric, title) {
    if (!rows.length) return null;
    const up = sign(metric), y = metric.name;
    const best = rows.slice().sort((a, b) => a.x - b.x || up * (b.y - a.y)).filter((row, at, all) => all.slice(0, at).every(other => up * other.y < up * row.y));
    return Plot.plot(shared(width, { height: 260, x: { label: x, tickFormat: "~s", grid: true, ticks: 5 }, y: { label: null, grid: true, ...axis(metric) }, color: { legend: new Set(rows.map(row => row.of)).size > 1 },
      marks: [Plot.line(best, { x: "x", y: "y", stroke: muted, curve: "step-after" }), Plot.dot(rows, { x: "x", y: "y", r: 4, fill: rows[0].of === undefined ? accent : "of", title: row => `${title(row)}\n${x} ${row.x.toLocaleString()}\n${y} ${written(metric, row.y)}`, tip })] }));
  }

  function intervals(study, measure, of, width) {
    const { alike, names } = comparable(study, of), metric = alike.length ? alike[0][of] : null;
    const rows = alike.filter(row => row.means[measure]).map(row => ({ name: row.combination, value: row.means[measure].value, reach: row.means[measure].reach || 0 }));
    const each = study.runs.filter(run => names.has(run.combination) && run[measure] !== null);
    if (!rows.length) return null;
    return dots(rows, width, { height: 60 + 34 * rows.length, marginLeft: Math.min(220, 20 + 7 * Math.max(0, ...rows.map(row => row.name.length))), x: { grid: true, label: null, ...axis(metric) }, y: { label: null, domain: rows.map(row => row.name) }, marks: [
      Plot.link(rows, { x1: row => row.value - row.reach, x2: row => row.value + row.reach, y: "name", stroke: accent, strokeWidth: 2 }),
      Plot.dot(each, { x: measure, y: "combination", stroke: muted, r: 2.5 }),
      Plot.dot(rows, { x: "value", y: "name", fill: accent, r: 5, title: row => `${row.name}: ${written(metric, row.value)} ± ${written(metric, row.reach)}`, tip })] });
  }

  // A line for each run, each phase on axes of its own, so that a run has one colour.
  function overlaid(rowsOf, width, y) {
    const rows = runs.flatMap(run => rowsOf(run).map(row => ({ ...row, run: run.name })));
    const phases = d3.groups(rows, row => row.phase || "");
    const plot = { color: { legend: true, domain: runs.map(run => run.name) } };
    if (phases.length < 2) return lines(rows, width, y, { key: "run", plot });
    return facets(phases.map(([phase, each]) => [`phase ${phase}`, inner => lines(each, inner, y, { key: "run", plot: { ...plot, height: 200 } })]), width);
  }

  function facets(each, width) {
    if (!each.length) return null;
    const grid = document.createElement("div");
    grid.className = "facets";
    const columns = Math.max(1, Math.floor((width + 24) / 264)), beside = Math.min(columns, each.length, 3);
    const inner = Math.floor((width - 24 * (beside - 1)) / beside);
    grid.style.gridTemplateColumns = `repeat(${beside}, minmax(0, 1fr))`;
    for (const [title, made] of each) {
      const box = document.createElement("div"), head = document.createElement("h5");
      head.textContent = title;
      box.append(head, made(Math.min(inner, 520)));
      grid.append(box);
    }
    return grid;
  }

  function draw(figure) {
    const { plot, run, phase, study } = figure.dataset, canvas = figure.querySelector(".canvas");
    const at = { run: runs[run], phase: runs[run]?.phases[phase], study: studies[study] };
    const width = Math.max(260, figure.clientWidth), made = kinds[plot](at, width);
    figure.dataset.drawn = width;
    figure.hidden = made === null;
    canvas.replaceChildren(...(made === null ? [] : [made]));
    for (const svg of canvas.querySelectorAll("svg")) {
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", figure.querySelector("figcaption").textContent);
    }
  }

  const visible = new IntersectionObserver(entries => {
    for (const { isIntersecting, target } of entries) if (isIntersecting && !target.dataset.drawn) draw(target);
  }, { rootMargin: "600px" });
  const figures = [...document.querySelectorAll("figure[data-plot]")];
  figures.forEach(figure => visible.observe(figure));
  addEventListener("beforeprint", () => figures.forEach(draw));
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => figures.filter(figure => figure.dataset.drawn && figure.clientWidth && Math.abs(figure.clientWidth - figure.dataset.drawn) > 8).forEach(draw), 150);
  });

  // ---------------------------------------------------------------- choices

  const dialog = document.getElementById("choice"), body = document.getElementById("choice-body");

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function shown(phase, path, several) {
    const choice = (phase.space?.choices || []).find(item => item.path === path), moves = phase.moves.find(item => item.path === path);
    const box = element("section");
    if (several) box.append(element("h3", path));
    const items = choice ? choice.items : Object.keys(moves?.items || {});
    const taken = moves?.taken, last = item => moves?.items[item]?.at(-1) ?? null, most = Math.max(0, ...items.map(item => last(item) || 0));
    const widest = Math.min(160, innerWidth * .28);
    const said = [choice ? `${choice.kind}, ${items.length} items` : "", taken ? `taken: ${taken}` : "", moves?.flips.length ? `changed after epoch ${moves.flips.join(", ")}` : ""];
    box.append(element("p", said.filter(Boolean).join(" · "), "soft"));
    const table = element("table"), rows = element("tbody");
    for (const item of items) {
      const row = element("tr"), bar = element("span", undefined, "bar"), cell = element("td");
      if (item === taken) row.className = "is-taken";
      bar.style.width = `${most ? Math.max(2, widest * (last(item) || 0) / most) : 0}px`;
      if (last(item) !== null) cell.append(bar, " " + percent(last(item)));
      const head = element("th", item + (choice && !choice.derivable.includes(item) ? " (never derived)" : ""));
      head.scope = "row";
      row.append(head, cell);
      rows.append(row);
    }
    table.append(rows);
    box.append(table);
    const made = moves && Object.keys(moves.items).length ? strength(moves, phase.epochs, Math.min(620, innerWidth - 80)) : null;
    if (made) box.append(element("h4", "Strength of each item over the epochs"), made);
    return box;
  }

  function open(phase, paths) {
    document.getElementById("choice-title").textContent = paths.length === 1 ? paths[0] : `${paths.length} choices`;
    body.replaceChildren(...paths.map(path => shown(phase, path, paths.length > 1)));
    dialog.showModal();
  }

  for (const button of document.querySelectorAll("[data-open]"))
    button.addEventListener("click", () => open(runs[button.dataset.run].phases[button.dataset.phase], [button.dataset.open]));
  for (const area of document.querySelectorAll("[data-choices]")) {
    const phase = runs[area.dataset.run].phases[area.dataset.phase], known = new Set([...(phase.space?.choices || []), ...phase.moves].map(item => item.path));
    for (const part of area.querySelectorAll("[data-slots]")) {
      const copies = part.closest("[data-copies]").dataset.copies.split(" ");
      const paths = part.dataset.slots.split(" ").flatMap(slot => copies.map(copy => `${copy}.${slot}`)).filter(path => known.has(path));
      if (!paths.length) continue;
      part.classList.add("opens");
      part.setAttribute("tabindex", "0");
      part.setAttribute("role", "button");
      part.setAttribute("aria-label", `choice ${paths[0]}`);
      part.addEventListener("click", () => { if (!String(getSelection())) open(phase, paths); });
      part.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(phase, paths); } });
    }
    area.querySelector("svg")?.setAttribute("role", "group");
  }
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });

  // ---------------------------------------------------------------- zoom

  for (const picture of document.querySelectorAll("[data-picture]")) {
    const svg = picture.querySelector("svg"), area = picture.querySelector(".scroll"), natural = svg.viewBox.baseVal.width;
    const scaled = width => { svg.style.width = `${width}px`; svg.style.maxWidth = "none"; svg.style.minWidth = "0"; };
    const fit = () => scaled(Math.min(natural, area.clientWidth));
    const zoom = factor => {
      const before = svg.clientWidth, width = Math.min(natural * 4, Math.max(160, before * factor));
      const x = (area.scrollLeft + area.clientWidth / 2) / before, y = (area.scrollTop + area.clientHeight / 2) / before;
      scaled(width);
      area.scrollTo(x * width - area.clientWidth / 2, y * width - area.clientHeight / 2);
    };
    scaled(Math.min(natural, Math.max(area.clientWidth, natural * .62)));
    const does = { in: () => zoom(1.3), out: () => zoom(1 / 1.3), fit };
    for (const button of picture.querySelectorAll("[data-zoom]")) button.addEventListener("click", does[button.dataset.zoom]);
    area.addEventListener("wheel", event => { if (event.ctrlKey) { event.preventDefault(); zoom(event.deltaY < 0 ? 1.12 : 1 / 1.12); } }, { passive: false });
    area.addEventListener("keydown", event => { const act = { "+": does.in, "-": does.out, "0": does.fit }[event.key]; if (act) act(); });
  }

  // ---------------------------------------------------------------- a run under way

  if (document.body.dataset.live)
    setInterval(() => { if (!dialog.open && !document.hidden) location.reload(); }, 1000 * document.body.dataset.live);
})();
