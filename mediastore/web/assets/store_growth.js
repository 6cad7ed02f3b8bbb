// How much the store held day by day, drawn by uPlot; the same figures stand in a table.

import {said} from "./api.js";
import {$, attempt, given} from "./dom.js";
import {redraw} from "./redraw.js";
import {size} from "./told.js";

const HEIGHT = 240;
const place = $("#chart");
let chart = null;

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const day = seconds => new Date(seconds * 1000).toISOString().slice(0, 10);
const told = (seconds, how) => new Date(seconds * 1000).toLocaleDateString("en-GB", {timeZone: "UTC", ...how});
const short = value => value === null ? "" : value.toLocaleString("en", {notation: "compact"});

function figures() {
  const {items} = given("growth");
  return [items.map(item => Date.parse(item.day) / 1000), items.map(item => item.bytes), items.map(item => item.objects)];
}

// Steps of bytes as people count them: 512 MiB, 1 GiB, 1.5 GiB.
function steps(most) {
  let step = 1;
  while (step * 4 < most) step *= 2;
  const marks = [];
  for (let at = 0; at <= most + step / 2; at += step) marks.push(at);
  return marks;
}

function options(width) {
  const lines = {stroke: colour("--line"), width: 1};
  const axis = {stroke: colour("--faint"), grid: lines, ticks: lines, font: "13px system-ui, sans-serif"};
  const ground = (_, least, most) => [0, most > 0 ? most * 1.05 : 1];
  return {
    width, height: HEIGHT, tzDate: seconds => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: {x: {time: true}, bytes: {range: ground}, objects: {range: ground}},
    axes: [
      {...axis, space: 80, values: (_, marks, __, ___, apart) => marks.map(at => told(at, apart < 28 * 86_400 ? {day: "numeric", month: "short"} : {month: "short", year: "numeric"}))},
      {...axis, scale: "bytes", size: 80, splits: (_, __, ___, most) => steps(most), values: (_, marks) => marks.map(size)},
      {...axis, scale: "objects", side: 1, size: 56, grid: {show: false}, values: (_, marks) => marks.map(value => Number.isInteger(value) ? short(value) : "")},
    ],
    series: [
      {label: "Day", value: (_, value) => value === null ? "–" : day(value)},
      {label: "Holds", scale: "bytes", stroke: colour("--first"), fill: `${colour("--first")}22`, width: 2, points: {show: chart => chart.data[0].length < 40}, value: (_, value) => size(value)},
      {label: "Objects", scale: "objects", stroke: colour("--warn"), dash: [6, 4], width: 1.5, points: {show: false}, value: (_, value) => value === null ? "–" : value.toLocaleString("en")},
    ],
    hooks: {ready: [chart => chart.setLegend({idx: chart.data[0].length - 1}, false)]},  // until somebody points at another day
    cursor: {y: false, drag: {x: false, y: false}},
  };
}

function draw() {
  chart?.destroy();
  chart = new uPlot(options(place.clientWidth), figures(), place);
}

const range = $("#growth-range");
range.addEventListener("submit", event => event.preventDefault());
range.elements.days.addEventListener("change", () => {
  const address = new URL(location.href);
  address.searchParams.set("days", range.elements.days.value);
  history.replaceState(null, "", address);
  attempt(async () => {
    await redraw("#growth", "#growth-told", "#figures");
    draw();
  }, {place: $("#head-trouble"), said});
});

if (given("growth").items.length > 1) {
  draw();
  new ResizeObserver(() => { if (chart && chart.width !== place.clientWidth) chart.setSize({width: place.clientWidth, height: HEIGHT}); }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
} else {
  place.hidden = true;
}
