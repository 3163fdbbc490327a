// The live figures: a WebSocket that is opened again where it ends, from the id that was seen last.
"use strict";

(() => {
  const KEEP_MS = 15 * 60 * 1000;
  const DASH = "–";
  const FULL = 1013;
  const language = document.documentElement.lang;
  const parse = (id) => JSON.parse(document.getElementById(id).textContent);
  const words = parse("words");
  const byId = (id) => document.getElementById(id);

  // Numbers as the language writes them; what is null is a dash, never 0.
  const number = (value, digits = 0) =>
    value == null ? DASH : value.toLocaleString(language, { maximumFractionDigits: digits, useGrouping: "always" });
  const percent = (share, digits = 0) =>
    share == null ? DASH : share.toLocaleString(language, { style: "percent", maximumFractionDigits: digits });
  const milliseconds = (ms) => (ms == null ? DASH : ms < 1000 ? `${number(ms)} ms` : `${number(ms / 1000, 2)} s`);
  const gibibytes = (bytes) => (bytes == null ? DASH : `${number(bytes / 2 ** 30, 1)} GiB`);
  const kinds = { number, percent, ms: milliseconds };
  const clock = (ms, seconds) =>
    new Date(ms).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) });

  function row(cells) {
    const line = document.createElement("tr");
    cells.forEach(([text, isNumber], index) => {
      const cell = document.createElement(index ? "td" : "th");
      if (!index) cell.scope = "row";
      if (isNumber) cell.className = "n";
      if (text instanceof Node) cell.append(text);
      else cell.textContent = text;
      line.append(cell);
    });
    return line;
  }

  function showTests(running) {
    byId("no-tests").hidden = running.length > 0;
    byId("tests").hidden = running.length === 0;
    byId("test-rows").replaceChildren(
      ...running.flatMap((test) =>
        test.variants.map((variant, index) => {
          const link = document.createElement("a");
          link.href = `/studio/experiments/${encodeURIComponent(test.id)}`;
          link.textContent = test.name;
          const posts = test.design === "switchback" && !index ? number(test.posts) : "";
          const shown = test.design === "switchback" ? [DASH, DASH] : [number(variant.impressions), number(variant.engagements)];
          return row([[link], [variant.name], [shown[0], true], [shown[1], true], [posts, true]]);
        }),
      ),
    );
  }

  function showSystem(system) {
    byId("unsupported").hidden = system.supported;
    byId("system").hidden = !system.supported;
    byId("deployment-rows").replaceChildren(
      ...system.deployments.map((one) =>
        row([
          [words.deployment[one.name] ?? one.name],
          ...[one.replicas, one.ongoing, one.queued].map((value) => [number(value), true]),
        ]),
      ),
    );
    byId("node-rows").replaceChildren(
      ...system.nodes.map((node) => {
        const name = node.head ? words.node.head.replace("{name}", node.name) : node.name;
        const memory = node.memory_bytes == null ? DASH : `${gibibytes(node.memory_bytes)} / ${gibibytes(node.memory_total_bytes)}`;
        const gpus = node.gpus.map((gpu) => `${percent(gpu.share)}, ${gibibytes(gpu.memory_bytes)}`).join("; ") || DASH;
        const cpu = node.cpu_share == null && node.cpus == null ? words.node.silent : percent(node.cpu_share);
        return row([[name], [number(node.cpus), true], [cpu, true], [memory, true], [gpus, true]]);
      }),
    );
  }

  // One point for each reading, by its id: Unix milliseconds.
  const points = new Map();

  function keep(series) {
    for (const point of series) points.set(point.id, point);
    const newest = Math.max(...points.keys());
    for (const id of points.keys()) if (id < newest - KEEP_MS) points.delete(id);
  }

  // In order of time, with a hole where something was missed.
  function columns(names, everyMs) {
    const ids = [...points.keys()].sort((a, b) => a - b);
    const all = [[], ...names.map(() => [])];
    ids.forEach((id, index) => {
      if (index && id - ids[index - 1] > 3 * everyMs) all.forEach((column, at) => column.push(at ? null : (id - 1) / 1000));
      all[0].push(id / 1000);
      names.forEach((name, at) => all[at + 1].push(points.get(id)[name]));
    });
    return all;
  }

  function color(name) {
    const probe = document.createElement("span");
    probe.className = name;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  const charts = [
    { id: "chart-requests", names: ["per_s"], say: (value) => number(value, 1), least: 1 },
    { id: "chart-latency", names: ["p50_ms", "p95_ms", "p99_ms"], say: (value) => number(value), least: 10 },
    { id: "chart-degraded", names: ["degraded_share"], say: (value) => percent(value, 1), share: true },
  ];
  const dashes = [[], [8, 4], [2, 3]];

  function draw(chart) {
    const place = byId(chart.id);
    chart.plot?.destroy();
    const line = color("line");
    const axis = { stroke: color("axis"), grid: { stroke: color("grid"), width: 1 }, ticks: { stroke: color("grid"), width: 1 } };
    chart.plot = new uPlot(
      {
        width: Math.max(200, place.clientWidth),
        height: 160,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_plot, _low, high) => [0, chart.share ? Math.max(high ?? 0, 0.01) : Math.max(high ?? 0, chart.least) * 1.1] } },
        axes: [
          { ...axis, values: (_plot, ticks) => ticks.map((tick) => clock(tick * 1000)), space: 70, incrs: [60, 120, 300, 600] },
          { ...axis, values: (_plot, ticks) => ticks.map((tick) => chart.say(tick)), size: 60 },
        ],
        series: [{}, ...chart.names.map((_name, at) => ({ stroke: line, width: 2 - at * 0.4, dash: dashes[at], points: { show: false } }))],
      },
      columns(chart.names, everyMs),
      place,
    );
  }

  function showCharts() {
    const minutes = new Map();
    for (const id of [...points.keys()].sort((a, b) => a - b)) minutes.set(Math.floor(id / 60000), points.get(id));
    for (const chart of charts) {
      if (chart.plot) chart.plot.setData(columns(chart.names, everyMs));
      byId(`${chart.id}-rows`).replaceChildren(
        ...[...minutes].reverse().map(([minute, point]) =>
          row([[clock(minute * 60000)], ...chart.names.map((name) => [chart.say(point[name]), true])]),
        ),
      );
    }
  }

  let everyMs = 5000;
  let last = null;

  function show(message) {
    if (message.every_s) everyMs = message.every_s * 1000;
    if (message.id != null) last = message.id;
    if (message.kind !== "snapshot") return;
    byId("no-database").hidden = message.account != null;
    for (const place of document.querySelectorAll("[data-figure]")) {
      const value = place.dataset.figure.split(".").reduce((found, name) => found?.[name], message);
      const text = kinds[place.dataset.kind](value, Number(place.dataset.digits ?? 0));
      if (place.textContent !== text) place.textContent = text;
    }
    if (message.account) showTests(message.account.running);
    showSystem(message.system);
    if (message.series) keep(message.series);
    else if (message.system.supported) {
      const { requests, answers } = message.system;
      keep([{ id: message.id, ...requests, degraded_share: answers.degraded_share }]);
    }
    showCharts();
    byId("at").textContent = clock(message.at, true);
  }

  function state(name, seconds) {
    const text = words.state[name].replace("{seconds}", seconds ?? "");
    const place = byId("state");
    if (place.textContent !== text) place.textContent = text;
    byId("dot").className = `badge ${name === "live" ? "live" : name === "connecting" ? "" : "lost"}`;
  }

  let failures = 0;
  let socket = null;
  let retry = null;
  let watchdog = null;

  function connect() {
    clearTimeout(retry);
    retry = null;
    let opened = false;
    const address = new URL("/ws/metrics", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    if (last != null) address.searchParams.set("last", last);
    const mine = (socket = new WebSocket(address));
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => lost({ code: 0 }), 3 * everyMs);
    };
    const lost = ({ code }) => {
      if (socket !== mine) return;
      socket = null;
      clearTimeout(watchdog);
      mine.close();
      failures += 1;
      const seconds = Math.min(30, 2 ** Math.min(failures - 1, 5)) * (0.75 + Math.random() / 2);
      const why = code === FULL ? "full" : !opened && failures > 3 ? "refused" : "lost";
      state(why, Math.max(1, Math.round(seconds)));
      retry = setTimeout(connect, seconds * 1000);
    };
    alive();
    mine.addEventListener("open", () => (opened = true));
    mine.addEventListener("message", (event) => {
      if (socket !== mine) return;
      failures = 0;
      alive();
      state("live");
      show(JSON.parse(event.data));
    });
    mine.addEventListener("close", lost);
  }

  const now = () => retry !== null && !document.hidden && connect();
  document.addEventListener("visibilitychange", now);
  addEventListener("online", now);
  // The server takes a page that goes away for one that left; a connection that is still being made ends by itself.
  addEventListener("pagehide", () => socket?.readyState === WebSocket.OPEN && socket.close());
  addEventListener("pageshow", (event) => event.persisted && !socket && connect());
  addEventListener("resize", () => charts.forEach((chart) => chart.plot.setSize({ width: Math.max(200, byId(chart.id).clientWidth), height: 160 })));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(draw));

  const first = parse("first");
  if (first?.kind) show(first);
  charts.forEach(draw);
  connect();
})();
