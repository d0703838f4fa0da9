/* The order of pages: consent, then each part with practice, catch trials and scenes, then the end.
 *
 * The address may choose what is otherwise drawn: ?person=...&list=0&order=3. Orders are rows of
 * balanced Latin squares: over as many persons as there are scenes each scene is at each place once.
 */
"use strict";

(() => {
  const content = window.CONTENT;
  const PAUSE = 200; // ms between pages, so that a double click answers one question
  const address = new URLSearchParams(window.location.search);
  const jsPsych = initJsPsych({ on_finish: finished, default_iti: PAUSE });
  const lists = Math.max(...content.parts.map((part) => part.lists.length));

  function drawn(below) {
    return crypto.getRandomValues(new Uint32Array(1))[0] % below;
  }

  function chosen(name, below) {
    const given = Number(address.get(name));
    return address.has(name) && Number.isInteger(given) && given >= 0 ? given % below : drawn(below);
  }

  function personName() {
    for (const name of ["person", "PROLIFIC_PID", "participant", "workerId"]) {
      const given = address.get(name);
      if (given) return given.slice(0, 64);
    }
    const bytes = crypto.getRandomValues(new Uint8Array(8));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  const list = chosen("list", lists);
  const order = chosen("order", 2 ** 16);
  let accepted = content.consent.length === 0;

  /* Row `row` of a balanced Latin square (Williams 1949); every second row of an odd one backwards. */
  function balanced(items, row) {
    const n = items.length;
    const places = Array.from({ length: n }, (_, i) => (i % 2 ? (i + 1) / 2 : (n - i / 2) % n));
    const found = places.map((place) => items[(place + row) % n]);
    return n % 2 && Math.floor(row / n) % 2 ? found.reverse() : found;
  }

  function paragraphs(texts, heading) {
    const box = document.createElement("div");
    const add = (tag, text) => {
      const made = document.createElement(tag);
      made.textContent = text;
      box.append(made);
    };
    if (heading) add("h1", heading);
    texts.forEach((text) => add("p", text));
    return box.innerHTML; // escaped by textContent
  }

  function page(texts, heading, choices, data) {
    return {
      type: jsPsychHtmlButtonResponse,
      stimulus: `<div class="text">${paragraphs(texts, heading)}</div>`,
      choices,
      data: { role: "page", ...data },
    };
  }

  function trial(part, item, role, progress) {
    return {
      type: TowerTrial,
      image: item.image,
      question: item.question,
      axes: part.axes,
      silhouette: item.silhouette,
      cross: role === "catch" && part.axes.length ? item.answer : null,
      solution: role === "practice" ? item.answer : null,
      progress,
      data: {
        role,
        task: part.task,
        test_set: part.test_set,
        key: part.key,
        scene: item.scene,
        expected: item.answer,
      },
    };
  }

  /* Insert catch trials at places that are spread over a part, and differ between orders. */
  function withCatches(part, items) {
    const entries = items.map((item) => [item, "test"]);
    const gap = Math.max(1, Math.floor(items.length / Math.max(1, part.catches.length)));
    part.catches.forEach((item, number) => {
      const place = number * (gap + 1) + 1 + ((order + number) % gap);
      entries.splice(Math.min(place, entries.length), 0, [item, "catch"]);
    });
    return entries;
  }

  function pagesOf(part, number) {
    const items = balanced(part.lists[list % part.lists.length], order);
    const entries = withCatches(part, items);
    const heading = `Part ${number + 1} of ${content.parts.length}`;
    const example = (part.practice[0] || items[0]).question;
    const words = part.practice.length
      ? [example, `You begin with ${part.practice.length} for practice.`]
      : [example];
    const pages = [page(words, heading, ["Begin"])];
    part.practice.forEach((item) => pages.push(trial(part, item, "practice", "Practice")));
    if (part.practice.length)
      pages.push(page(["From now on you are not told what is right."], heading, ["Continue"]));
    entries.forEach(([item, role], place) =>
      pages.push(trial(part, item, role, `${place + 1} of ${entries.length}`)));
    return pages;
  }

  function link(box, text, blob, name) {
    const made = document.createElement("a");
    made.textContent = text;
    made.href = URL.createObjectURL(blob);
    made.download = name;
    made.id = "download";
    box.append(made);
  }

  function finished() {
    const display = jsPsych.getDisplayElement();
    const box = document.createElement("div");
    box.className = "text";
    box.id = "end";
    const thanks = accepted
      ? ["Thank you. That was all."]
      : ["You have not agreed, so nothing was recorded. You may close this page."];
    if (accepted && content.code) thanks.push(`Your code of completion: ${content.code}`);
    box.innerHTML = paragraphs(thanks);
    display.replaceChildren(box);
    if (!accepted) return;
    const data = jsPsych.data.get();
    const blob = new Blob([data.json()], { type: "application/json" });
    const file = `${data.values()[0].person.replace(/[^A-Za-z0-9_-]/g, "_")}.json`;
    if (content.download) link(box, "Save your answers", blob, file);
    if (content.submit) submit(box, blob);
  }

  function submit(box, blob) {
    const note = document.createElement("p");
    note.textContent = "Your answers are being sent. Please wait.";
    box.append(note);
    const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: blob };
    fetch(content.submit, request).then(
      (reply) => { note.textContent = reply.ok ? "Your answers were sent." : `Your answers could not be sent (${reply.status}).`; },
      () => { note.textContent = "Your answers could not be sent: there is no connection."; },
    );
  }

  function consent() {
    const contact = content.contact ? [`Questions: ${content.contact}`] : [];
    const asked = page([...content.consent, ...contact], content.title, ["I agree", "I do not agree"]);
    asked.on_finish = (data) => {
      accepted = data.response === 0;
      if (!accepted) jsPsych.abortExperiment();
    };
    return asked;
  }

  const parts = balanced(content.parts, order);
  const pages = parts.flatMap(pagesOf);
  const images = pages.filter((each) => each.image).map((each) => each.image);
  const timeline = [
    ...(content.consent.length ? [consent()] : []),
    { type: jsPsychPreload, images, data: { role: "page" },
      message: "The images are being loaded.", max_load_time: 120000 },
    ...pages,
  ];
  if (window.jsPsychPavlovia) { // Pavlovia's own script, where the page was given it
    timeline.unshift({ type: jsPsychPavlovia, command: "init" });
    timeline.push({ type: jsPsychPavlovia, command: "finish" });
  }
  jsPsych.data.addProperties({
    person: personName(), study: content.study, format: content.format, list, order,
    planned: pages.filter((each) => each.data.role === "test").length,
  });
  jsPsych.run(timeline);
})();
