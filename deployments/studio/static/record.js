// Draws what each day brought; the figures stand in the page as JSON.
"use strict";

const place = document.getElementById("days-chart");
const told = document.getElementById("days");
if (place && told) {
  const days = JSON.parse(told.textContent);
  const language = document.documentElement.lang;
  // A probe: the value of a custom property is not resolved, that of a color is.
  const resolved = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const ticks = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "2-digit", timeZone: "UTC" });
  const whole = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone: "UTC" });
  const number = new Intl.NumberFormat(language, { useGrouping: "always" });
  let chart;
  const draw = () => {
    chart?.destroy();
    const axis = { stroke: resolved("--quiet"), grid: { stroke: resolved("--line"), width: 1 }, ticks: { show: false } };
    chart = new uPlot(
      {
        width: place.clientWidth,
        height: 220,
        tzDate: (second) => uPlot.tzDate(new Date(second * 1000), "UTC"),
        scales: { y: { range: (_, low, high) => [0, Math.max(high, 1) * 1.05] } },
        axes: [
          { ...axis, space: 90, values: (_, seconds) => seconds.map((second) => ticks.format(new Date(second * 1000))) },
          { ...axis, size: 60, values: (_, values) => values.map((value) => number.format(value)) },
        ],
        series: [
          { label: place.dataset.day, value: (_, second) => (second == null ? "–" : whole.format(new Date(second * 1000))) },
          {
            label: place.dataset.engagement,
            stroke: resolved("--accent"),
            fill: resolved("--accent"),
            width: 0,
            points: { show: false },
            paths: uPlot.paths.bars({ size: [0.7, 12, 1] }),
            value: (_, value) => (value == null ? "–" : number.format(value)),
          },
          {
            label: place.dataset.posts,
            show: true,
            scale: "posts",
            stroke: "transparent",
            width: 0,
            points: { show: false },
            value: (_, value) => (value == null ? "–" : number.format(value)),
          },
        ],
      },
      [
        days.map((day) => Date.parse(day.day) / 1000),
        days.map((day) => day.engagement),
        days.map((day) => day.posts),
      ],
      place,
    );
  };
  draw();
  new ResizeObserver(() => place.clientWidth && chart.width !== place.clientWidth && chart.setSize({ width: place.clientWidth, height: 220 })).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
