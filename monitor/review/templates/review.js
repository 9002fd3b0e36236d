"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const labels = [...data.labels, data.cannotTell];
  const key = `softfail-review-${data.sample}`;
  const state = {rater: "", at: 0, given: {}}; // given: answer -> {label, note, time}
  let history = [], unsaved = false, stored = true;

  const load = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(key) || "null");
      if (!kept) return;
      state.rater = String(kept.rater || "");
      state.at = Math.min(data.answers.length - 1, Math.max(0, Number(kept.at) || 0));
      for (const [answer, given] of Object.entries(kept.given || {}))
        if (labels.includes(given.label) || given.label === "") state.given[answer] = given;
      unsaved = Boolean(kept.unsaved);
    } catch { stored = false; }
  };
  const keep = () => {
    try { localStorage.setItem(key, JSON.stringify({...state, unsaved})); stored = true; } catch { stored = false; }
  };
  const say = (text, bad = false) => { $("said").textContent = text; $("said").className = bad ? "bad" : ""; };
  const current = () => data.answers[state.at];
  const givenOf = (answer) => state.given[answer.answer] || {label: "", note: ""};
  const labelled = () => data.answers.filter((answer) => givenOf(answer).label).length;

  const show = () => {
    const answer = current(), given = givenOf(answer), done = labelled();
    $("position").textContent = `Answer ${state.at + 1} of ${data.answers.length}:`;
    $("place").textContent = answer.place;
    for (const name of ["input", "context", "output"]) $(name).textContent = answer[name];
    $("input-part").hidden = !answer.input;
    $("context-part").hidden = !answer.context;
    $("context-size").textContent = `${answer.context.length.toLocaleString("en")} characters`;
    $("note").value = given.note;
    $("progress").max = data.answers.length;
    $("progress").value = done;
    $("count").textContent = `${done} of ${data.answers.length} labelled`;
    for (const button of $("labels").children)
      button.setAttribute("aria-pressed", String(button.dataset.label === given.label));
    $("undo").disabled = !history.length;
    if (!stored) say("This browser keeps nothing: save before you close the page.", true);
  };
  const go = (at) => {
    if (at < 0 || at >= data.answers.length) return say(at < 0 ? "This is the first answer." : "This is the last answer.");
    state.at = at;
    say("");
    keep();
    show();
    window.scrollTo(0, 0);
    for (const id of ["input", "context"]) $(id).scrollTop = 0;
  };
  const change = (answer, given) => {
    history.push({answer: answer.answer, at: state.at, before: state.given[answer.answer]});
    state.given[answer.answer] = {...given, time: new Date().toISOString()};
    unsaved = true;
    keep();
  };
  const nextUnlabelled = () => {
    const count = data.answers.length;
    for (let step = 1; step <= count; step++) {
      const at = (state.at + step) % count;
      if (!givenOf(data.answers[at]).label) return go(at);
    }
    show();
    say("All answers have a label. Press s to save them.");
  };
  const give = (label) => {
    change(current(), {...givenOf(current()), label});
    nextUnlabelled();
  };
  const undo = () => {
    const last = history.pop();
    if (!last) return say("Nothing to undo.");
    if (last.before) state.given[last.answer] = last.before; else delete state.given[last.answer];
    unsaved = true;
    go(last.at);
    say("Undone.");
  };
  const takeNote = () => {
    const given = givenOf(current());
    if (given.note !== $("note").value) change(current(), {...given, note: $("note").value});
  };
  const save = () => {
    takeNote();
    state.rater = $("rater").value.trim();
    if (!state.rater) { $("rater").focus(); return say("Write your name first, then save.", true); }
    const lines = [];
    for (const answer of data.answers) {
      const given = givenOf(answer);
      if (given.label)
        lines.push(JSON.stringify({
          record: "review_label", sample: data.sample, answer: answer.answer, rater: state.rater,
          label: given.label, note: given.note, time: given.time,
        }));
    }
    if (!lines.length) return say("There is no label to save yet.", true);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], {type: "application/x-ndjson"}));
    link.download = `labels-${data.sample}-${state.rater.replace(/[^\p{L}\p{N}_-]+/gu, "_")}.jsonl`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    unsaved = false;
    keep();
    say(`Saved ${lines.length} ${lines.length > 1 ? "labels" : "label"} as ${link.download}, in your downloads.`);
  };

  labels.forEach((label, index) => {
    const button = document.createElement("button"), digit = document.createElement("kbd");
    const last = index === labels.length - 1;
    digit.textContent = last ? "0" : String(index + 1);
    button.type = "button";
    button.dataset.label = label;
    button.className = last ? "" : index < data.passing ? "pass" : "fail";
    button.append(label, " ", digit);
    button.addEventListener("click", () => give(label));
    $("labels").append(button);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target instanceof HTMLInputElement) {
      if (event.key === "Enter" || event.key === "Escape") event.target.blur();
      return;
    }
    const digit = /^[0-9]$/.test(event.key) ? Number(event.key) : -1;
    const label = digit === 0 ? data.cannotTell : data.labels[digit - 1];
    const isButton = event.target instanceof HTMLButtonElement || event.target.tagName === "SUMMARY";
    if (digit >= 0) { if (label && !event.repeat) give(label); }
    else if (event.key === "j" || event.key === "ArrowRight") go(state.at + 1);
    else if (event.key === "k" || event.key === "ArrowLeft") go(state.at - 1);
    else if (event.key === " " && !isButton) nextUnlabelled();
    else if (event.key === "n") $("note").focus();
    else if (event.key === "u") undo();
    else if (event.key === "s") save();
    else return;
    event.preventDefault();
  });
  $("rater").addEventListener("input", () => { state.rater = $("rater").value; keep(); });
  $("note").addEventListener("change", () => { takeNote(); show(); });
  $("previous").addEventListener("click", () => go(state.at - 1));
  $("next").addEventListener("click", () => go(state.at + 1));
  $("unlabelled").addEventListener("click", nextUnlabelled);
  $("undo").addEventListener("click", undo);
  $("save").addEventListener("click", save);
  window.addEventListener("beforeunload", (event) => { if (unsaved && !stored) event.preventDefault(); });

  $("question").textContent = data.question;
  load();
  $("rater").value = state.rater;
  show();
  say(labelled() ? `${labelled()} labels of this browser were restored.` : "Press a digit to label; j and k move.");
})();
