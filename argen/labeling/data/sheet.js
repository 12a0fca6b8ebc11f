
"use strict";

const sheet = JSON.parse(document.getElementById("sheet").textContent);
const main = document.getElementById("main");
const isServed = sheet.mode === "served";
const isPair = sheet.kind === "pair";

const state = {
  person: "",
  presses: [], // All of this person, in order
  unwritten: [], // Those that aren't in the database yet
  place: -1, // Of the item that is shown; -1: none
  question: 0, // Which question the number keys go to
  isDeclining: false, // Are the reasons shown?
  isUnkept: false, // Is there a press that only this page knows?
  isShowingGuideline: false,
};

// ---- What was said of each item ------------------------------------------------------

function answersOf(id) {
  const values = {};
  for (const press of state.presses) {
    if (press.item !== id) continue;
    if (press.value === null) delete values[press.field];
    else values[press.field] = press.value;
  }
  return values;
}

function isFinished(id) {
  const values = answersOf(id);
  if ("reason" in values) return true;
  return sheet.questions.every((question) => question.field in values);
}

function firstOpen() {
  return sheet.items.findIndex((item) => !isFinished(item.id));
}

// ---- Keeping presses -----------------------------------------------------------------

// Each press has a key of its own, so that two tabs never overwrite each other
const storagePrefix = () => `argen ${sheet.hash}\n${state.person}\n`;
const samePress = (press) =>
  [press.item, press.field, JSON.stringify(press.value), press.at].join("\n");
const storageKey = (press) => storagePrefix() + samePress(press);

function merged(first, second) {
  const known = new Set(first.map(samePress));
  const all = first.concat(second.filter((press) => !known.has(samePress(press))));
  return all.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

function fromStorage() {
  try {
    const keys = Object.keys(localStorage);
    const ours = keys.filter((key) => key.startsWith(storagePrefix()));
    const kept = ours.map((key) => JSON.parse(localStorage.getItem(key)));
    return merged([], kept.filter(isOurs));
  } catch {
    return [];
  }
}

function toStorage() {
  try {
    for (const press of state.presses) {
      const key = storageKey(press);
      if (localStorage.getItem(key) !== null) continue;
      localStorage.setItem(key, JSON.stringify(press));
    }
    return true;
  } catch {
    return false;
  }
}

// Resolves to the browser's database; rejects where it is missing or refused
function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("argen", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("presses");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// Adds presses, and resolves to all of this person's once they are on the disk
function written(database, presses) {
  return new Promise((resolve, reject) => {
    const strict = { durability: "strict" };
    const transaction = database.transaction("presses", "readwrite", strict);
    const store = transaction.objectStore("presses");
    for (const press of presses) store.put(press, storageKey(press));
    const prefix = storagePrefix();
    const all = store.getAll(IDBKeyRange.bound(prefix, `${prefix}\uffff`));
    transaction.oncomplete = () => resolve(all.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

async function throughDatabase(presses) {
  const database = await openDatabase();
  try {
    return await written(database, presses);
  } finally {
    database.close();
  }
}

const CRASH_LOSES =
  "This browser refuses its database to this page, so a crash can lose the last " +
  "presses. Save a file now and then.";
const KEEPS_NOTHING =
  "This browser keeps nothing after the page is closed. Save a file before you leave.";

// Keeps presses of this person, and takes in what another tab has kept
async function keepInBrowser(presses) {
  state.presses = merged(state.presses, presses);
  state.unwritten = merged(state.unwritten, presses);
  let problem = "";
  try {
    const kept = await throughDatabase(state.unwritten);
    state.presses = merged(state.presses, kept.filter(isOurs));
    state.unwritten = [];
  } catch {
    state.presses = merged(fromStorage(), state.presses);
    problem = toStorage() ? CRASH_LOSES : KEEPS_NOTHING;
  }
  state.isUnkept = problem === KEEPS_NOTHING;
  notice(problem);
}

function lastPerson() {
  try {
    return localStorage.getItem(`argen ${sheet.hash}`) || "";
  } catch {
    return "";
  }
}

function rememberPerson() {
  try {
    localStorage.setItem(`argen ${sheet.hash}`, state.person);
  } catch {
    // The name is typed again
  }
}

// Where the presses go: into this browser, or to the server; either way they are on a
// disk when this resolves
async function keep(press) {
  if (!isServed) {
    await keepInBrowser([press]);
    return true;
  }
  try {
    const reply = await fetch("presses", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(press),
    });
    if (!reply.ok) throw new Error(await reply.text());
  } catch (error) {
    const why = error instanceof TypeError ? "the server doesn't reply" : error.message;
    notice(`Not saved: ${why}. Press again when it is mended.`);
    return false;
  }
  notice("");
  state.presses.push(press);
  return true;
}

function now() {
  // Never before the last press, whatever the clock does
  const last = state.presses.length ? state.presses[state.presses.length - 1].at : "";
  const time = new Date().toISOString();
  if (time > last) return time;
  return new Date(Date.parse(last) + 1).toISOString();
}

async function press(field, value) {
  const item = sheet.items[state.place];
  return keep({
    plan: sheet.plan,
    guideline_hash: sheet.guideline_hash,
    person: state.person,
    item: item.id,
    hash: item.hash,
    field,
    value,
    at: now(),
  });
}

// ---- Files ---------------------------------------------------------------------------

function isOurs(press) {
  const item = press && sheet.items.find((one) => one.id === press.item);
  return Boolean(
    item &&
      item.hash === press.hash &&
      press.plan === sheet.plan &&
      press.guideline_hash === sheet.guideline_hash &&
      typeof press.at === "string" &&
      typeof press.field === "string"
  );
}

function saved() {
  const seen = new Set(state.presses.map((press) => press.item));
  return {
    argen_presses: 1,
    plan: sheet.plan,
    guideline_hash: sheet.guideline_hash,
    sheet: sheet.hash,
    person: state.person,
    saved: new Date().toISOString(),
    guideline: sheet.guideline,
    questions: sheet.told,
    items: sheet.items.filter((item) => seen.has(item.id)),
    presses: state.presses,
  };
}

function saveFile() {
  const text = JSON.stringify(saved(), null, 1);
  const link = document.createElement("a");
  const name = state.person.replace(/[^\p{L}\p{N}]+/gu, "-");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `labels-${name}-${sheet.hash.slice(0, 6)}.json`;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  state.isUnkept = false;
}

async function openFile(file) {
  let data;
  try {
    data = JSON.parse(await file.text());
  } catch {
    return notice("This file is damaged; choose one that this page saved.");
  }
  const fits =
    data && data.argen_presses === 1 && Array.isArray(data.presses) && data.person;
  if (!fits) return notice("This is no file of labels; choose one that this page saved.");
  if (data.sheet !== sheet.hash || !data.presses.every(isOurs)) {
    return notice("This file belongs to another sheet; open it there.");
  }
  state.person = String(data.person);
  await beginWith(data.presses);
}

// ---- Drawing -------------------------------------------------------------------------

// Text is only ever set as text: what patients and models wrote is never read as HTML
function make(tag, properties = {}, children = []) {
  const element = document.createElement(tag);
  const { text, classes, pressed, ...others } = properties;
  if (text !== undefined) element.textContent = text;
  if (classes) element.className = classes;
  if (pressed !== undefined) element.setAttribute("aria-pressed", String(pressed));
  if (tag === "button") element.type = "button";
  Object.assign(element, others);
  element.append(...children);
  return element;
}

function button(text, key, action, classes = "") {
  const children = key ? [make("kbd", { text: key }), ` ${text}`] : [text];
  const onclick = () => inTurn(action);
  return make("button", { classes, onclick }, children);
}

function words(title, text) {
  const body = make("p", { classes: "words", text, dir: "auto" });
  return make("section", { classes: "card" }, [make("h2", { text: title }), body]);
}

function paragraphs(text) {
  return text.split(/\n\s*\n/).map((part) => make("p", { text: part, dir: "auto" }));
}

function notice(text) {
  const element = document.getElementById("notice");
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text;
}

function drawHeader() {
  const n = sheet.items.length;
  const finished = sheet.items.filter((item) => isFinished(item.id)).length;
  const progress = document.getElementById("progress");
  progress.max = n;
  progress.value = finished;
  const place = state.place < n ? `${state.place + 1} of ${n} · ` : "";
  document.getElementById("where").textContent =
    `${place}${finished} finished · ${state.person}`;
  document.getElementById("show-guideline").hidden = false;
  document.getElementById("save").hidden = false;
  const keys = document.getElementById("keys");
  keys.hidden = false;
  keys.textContent =
    "Number keys answer · ↑ ↓ or k j: question · ← → or p n: item · Enter: next · " +
    "x: can't judge · g: guideline · s: save a file";
}

function drawStart() {
  const name = make("input", {
    id: "person",
    maxLength: 60,
    autocomplete: "off",
    value: lastPerson(),
  });
  const file = make("input", { id: "file", type: "file", accept: ".json" });
  file.onchange = () => file.files[0] && inTurn(() => openFile(file.files[0]));
  const start = make("form", { classes: "start" }, [
    make("h1", { text: isPair ? "Which response is better?" : "Judge responses" }),
    ...paragraphs(sheet.guideline),
    make("label", { htmlFor: "person", text: "Your name or code" }),
    name,
    make("p", {
      classes: "small",
      text:
        "It is stored with your labels. Type the same one to continue. " +
        (isServed
          ? "Each press is saved at once."
          : "Each press is kept in this browser at once; at the end, save the file " +
            "and send it back. Nothing is sent from this page."),
    }),
    make("div", { classes: "moves" }, [
      make("button", { classes: "main", id: "start", text: "Start" }),
    ]),
  ]);
  start.querySelector("#start").type = "submit";
  if (!isServed) {
    start.append(
      make("label", { htmlFor: "file", text: "Or continue from a saved file" }),
      file
    );
  }
  start.onsubmit = (event) => {
    event.preventDefault();
    inTurn(() => enter(name.value));
  };
  main.replaceChildren(start);
  name.focus();
}

async function enter(typed) {
  const person = typed.trim().split(/\s+/).join(" ");
  const isPrintable = !/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/u.test(person);
  if (!person || !isPrintable) return notice("Please type a name or code.");
  state.person = person;
  if (isServed) {
    try {
      const reply = await fetch(`presses?person=${encodeURIComponent(person)}`);
      if (!reply.ok) throw new Error(await reply.text());
      state.presses = await reply.json();
    } catch {
      return notice("The server doesn't reply. Is it still running?");
    }
  } else {
    return beginWith([]);
  }
  notice("");
  begin();
}

// Goes on from given presses, the database, and what an earlier sheet kept in storage
async function beginWith(presses) {
  rememberPerson();
  await keepInBrowser(merged(fromStorage(), presses));
  begin();
}

function begin() {
  const open = firstOpen();
  show(open < 0 ? sheet.items.length : open);
}

function show(place) {
  const n = sheet.items.length;
  state.place = Math.min(Math.max(place, 0), n);
  state.isDeclining = false;
  state.isShowingGuideline = false;
  if (state.place === n) return drawEnd();
  const values = answersOf(sheet.items[state.place].id);
  const open = sheet.questions.findIndex((question) => !(question.field in values));
  state.question = Math.max(open, 0);
  drawItem();
  window.scrollTo(0, 0);
}

function drawEnd() {
  const open = sheet.items.filter((item) => !isFinished(item.id)).length;
  const children = [
    make("h1", { text: open ? `${open} to finish` : "All finished. Thank you." }),
    make("p", {
      text: isServed
        ? "Everything is saved. You can close this page."
        : "Save the file and send it to the person who gave you this page.",
    }),
    make("div", { classes: "moves" }, [
      button("Save a file", "s", saveFile, isServed || open ? "" : "main"),
      button("Back", "←", () => show(state.place - 1)),
    ]),
  ];
  if (open) {
    const next = button("Go to the first of them", "", () => show(firstOpen()), "main");
    children[2].prepend(next);
  }
  main.replaceChildren(make("div", { classes: "start" }, children));
  drawHeader();
  main.querySelector("button.main, button").focus();
}

function optionButtons(question, number, values) {
  return question.options.map((value, index) =>
    make(
      "button",
      {
        pressed: values[question.field] === value,
        onclick: () => inTurn(() => choose(number, index)),
      },
      [make("kbd", { text: index + 1 }), ` ${question.labels[index]}`]
    )
  );
}

function drawQuestion(question, number, values) {
  const legend = make("legend", { text: question.title });
  const help = make("p", { classes: "help", text: question.help });
  const options = make(
    "div",
    { classes: "options" },
    optionButtons(question, number, values)
  );
  const set = make("fieldset", { id: `question-${number}` }, [legend, help, options]);
  set.addEventListener("focusin", () => mark(number));
  return set;
}

function drawQuestions(values) {
  const drawn = [];
  let group = "";
  sheet.questions.forEach((question, number) => {
    if (question.group !== group) {
      group = question.group;
      drawn.push(make("p", { classes: "group", text: group }));
    }
    drawn.push(drawQuestion(question, number, values));
  });
  return drawn;
}

function drawReasons(values) {
  const options = sheet.reasons.map((reason, index) =>
    make(
      "button",
      {
        pressed: values.reason === reason,
        onclick: () => inTurn(() => decline(index)),
      },
      [make("kbd", { text: index + 1 }), ` ${reason}`]
    )
  );
  return make("fieldset", { id: "reasons", classes: "now" }, [
    make("legend", { text: "Why can't you judge it?" }),
    make("div", { classes: "options" }, options),
  ]);
}

function drawComment(values) {
  const comment = make("textarea", {
    id: "comment",
    rows: 2,
    maxLength: 5000,
    value: values.comment || "",
  });
  comment.onchange = () => {
    const text = comment.value.trim();
    const before = answersOf(sheet.items[state.place].id).comment || "";
    if (text !== before) inTurn(() => press("comment", text || null));
  };
  return [make("label", { htmlFor: "comment", text: "Comment, if any" }), comment];
}

function drawItem() {
  const item = sheet.items[state.place];
  const values = answersOf(item.id);
  const titles = isPair ? ["Response 1", "Response 2"] : ["The response"];
  const responses = item.responses.map((text, index) => words(titles[index], text));
  const isDeclined = "reason" in values;
  const asked = make("div", { classes: "asked" });
  if (state.isDeclining || isDeclined) asked.append(drawReasons(values));
  asked.append(...drawQuestions(values), ...drawComment(values));
  asked.append(
    make("div", { classes: "moves" }, [
      button("Back", "←", () => show(state.place - 1)),
      button("Can't judge", "x", startDeclining),
      button("Next", "→", () => show(state.place + 1)),
    ])
  );
  asked.lastChild.lastChild.id = "next";
  const texts = make("div", { classes: "texts" }, [
    words(item.turns ? "The conversation" : "What the patient wrote", item.prompt),
    make("div", { classes: "responses" }, responses),
  ]);
  main.replaceChildren(
    make("div", { classes: `item ${sheet.kind}` }, [texts, asked])
  );
  drawHeader();
  afterChange();
}

// Where the keys go now, and what is finished
function afterChange() {
  const item = sheet.items[state.place];
  const next = document.getElementById("next");
  const finished = isFinished(item.id);
  next.classList.toggle("main", finished);
  drawHeader();
  if (state.isDeclining) document.querySelector("#reasons button").focus();
  else if (finished) next.focus({ preventScroll: false });
  else focusQuestion(state.question);
}

function mark(number) {
  state.question = number;
  for (const set of document.querySelectorAll("fieldset[id^=question]")) {
    set.classList.toggle("now", set.id === `question-${number}`);
  }
}

function focusQuestion(number) {
  const last = sheet.questions.length - 1;
  mark(Math.min(Math.max(number, 0), last));
  const set = document.getElementById(`question-${state.question}`);
  const chosen = set.querySelector("[aria-pressed=true]");
  (chosen || set.querySelector("button")).focus({ preventScroll: true });
  // The first question leaves the text in view
  if (number > 0) set.scrollIntoView({ block: "nearest" });
}

// ---- Acting --------------------------------------------------------------------------

async function choose(number, index) {
  const question = sheet.questions[number];
  if (!question || index >= question.options.length) return;
  const id = sheet.items[state.place].id;
  const wasDeclined = "reason" in answersOf(id);
  if (wasDeclined && !(await press("reason", null))) return;
  if (!(await press(question.field, question.options[index]))) return;
  if (wasDeclined || state.isDeclining) {
    state.isDeclining = false;
    drawItem();
  }
  const values = answersOf(id);
  const set = document.getElementById(`question-${number}`);
  set.querySelectorAll(".options button").forEach((one, place) => {
    const isChosen = question.options[place] === values[question.field];
    one.setAttribute("aria-pressed", String(isChosen));
  });
  const open = (other) => !(sheet.questions[other].field in values);
  const order = sheet.questions.map((_, other) => other);
  const later = order.filter((other) => other > number).find(open);
  const next = later === undefined ? order.find(open) : later;
  if (next !== undefined) state.question = next;
  afterChange();
}

function startDeclining() {
  state.isDeclining = true;
  drawItem();
}

async function decline(index) {
  if (index >= sheet.reasons.length) return;
  if (!(await press("reason", sheet.reasons[index]))) return;
  state.isDeclining = false;
  drawItem();
}

function toggleGuideline() {
  if (!state.person) return;
  state.isShowingGuideline = !state.isShowingGuideline;
  if (!state.isShowingGuideline) {
    return state.place < sheet.items.length ? drawItem() : drawEnd();
  }
  const close = button("Back to the item", "g", toggleGuideline, "main");
  const told = sheet.questions.flatMap((question) => [
    make("h2", { text: question.title }),
    ...(question.help ? [make("p", { text: question.help })] : []),
  ]);
  main.replaceChildren(
    make("div", { classes: "start" }, [
      make("h1", { text: "Guideline" }),
      ...paragraphs(sheet.guideline),
      ...told,
      make("div", { classes: "moves" }, [close]),
    ])
  );
  close.focus();
}

// One action after the other: a press is kept before the next key is looked at
let turn = Promise.resolve();
function inTurn(action) {
  turn = turn.then(action).catch((error) => notice(`Something went wrong: ${error}`));
  return turn;
}

function onKey(key) {
  if (key === "g") return toggleGuideline();
  if (key === "s") return saveFile();
  if (state.isShowingGuideline) return key === "Escape" ? toggleGuideline() : undefined;
  if (key === "ArrowLeft" || key === "p") return show(state.place - 1);
  if (state.place === sheet.items.length) return undefined;
  if (key === "ArrowRight" || key === "n") return show(state.place + 1);
  if (/^[1-9]$/.test(key)) {
    const index = Number(key) - 1;
    if (state.isDeclining) return decline(index);
    // What is finished is changed on purpose only: with the question in focus
    const inQuestion = document.activeElement.closest("fieldset[id^=question]");
    const mayAnswer = isPair || inQuestion || !isFinished(sheet.items[state.place].id);
    return mayAnswer ? choose(state.question, index) : undefined;
  }
  if (key === "ArrowDown" || key === "j") return focusQuestion(state.question + 1);
  if (key === "ArrowUp" || key === "k") return focusQuestion(state.question - 1);
  if (key === "x") return startDeclining();
  if (key === "Escape" && state.isDeclining) {
    state.isDeclining = false;
    return drawItem();
  }
  return undefined;
}

const KEYS = /^([1-9]|[gsxjkpn]|Arrow(Left|Right|Up|Down)|Escape)$/;

document.addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|TEXTAREA)$/.test(event.target.tagName);
  if (isTyping && event.key === "Escape") event.target.blur();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (state.place < 0) return;
  if (event.key === "Enter") {
    // Which button has the focus is known once the last press is kept
    event.preventDefault();
    if (!event.repeat) inTurn(() => document.activeElement.click());
    return;
  }
  if (!KEYS.test(event.key)) return;
  event.preventDefault();
  if (event.repeat && !event.key.startsWith("Arrow")) return;
  inTurn(() => onKey(event.key));
});

// Another tab of the same person may have kept more
window.addEventListener("focus", () => {
  if (isServed || state.place < 0) return;
  inTurn(async () => {
    await keepInBrowser([]);
    drawHeader();
  });
});

window.addEventListener("beforeunload", (event) => {
  if (state.isUnkept) event.preventDefault();
});

document.getElementById("save").onclick = () => inTurn(saveFile);
document.getElementById("show-guideline").onclick = () => inTurn(toggleGuideline);
drawStart();
