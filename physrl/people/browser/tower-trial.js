/* A trial of the experiment as a jsPsych plugin: an image, a question, and Yes / No by button or
 * key, or a red block that is dragged by mouse, touch or arrow keys. All texts are set as text. */
"use strict";

const TowerTrial = (() => {
  const STEP = 0.02; // of a block width, for an arrow key; with Shift five times as much
  const KEYS = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, 1], arrowdown: [0, -1] };
  const SVG = "http://www.w3.org/2000/svg";

  const info = {
    name: "tower-trial",
    version: "1.0.0",
    parameters: {
      image: { type: jsPsychModule.ParameterType.IMAGE, default: undefined },
      question: { type: jsPsychModule.ParameterType.STRING, default: "" },
      progress: { type: jsPsychModule.ParameterType.STRING, default: "" },
      axes: { type: jsPsychModule.ParameterType.COMPLEX, default: [] },
      silhouette: { type: jsPsychModule.ParameterType.COMPLEX, default: null },
      cross: { type: jsPsychModule.ParameterType.COMPLEX, default: null },
      solution: { type: jsPsychModule.ParameterType.STRING, default: null },
    },
    data: {
      rt: { type: jsPsychModule.ParameterType.FLOAT },
      answer: { type: jsPsychModule.ParameterType.STRING },
    },
  };

  function element(parent, tag, attributes, text) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  /* Points of the image, as shares of its width, of a block that is moved by an offset. */
  function moved(silhouette, point, [x, y]) {
    const [column, row, depth] = point.map(
      (value, i) => value + x * silhouette.right[i] + y * silhouette.up[i],
    );
    return [column / depth, row / depth];
  }

  /* The offset at which the block's center is seen at a point: two linear equations. */
  function offsetAt(silhouette, [column, row], axes) {
    const { center, right, up } = silhouette;
    const a = right[0] - column * right[2], b = up[0] - column * up[2];
    const c = right[1] - row * right[2], d = up[1] - row * up[2];
    const e = column * center[2] - center[0], f = row * center[2] - center[1];
    if (!axes.includes("y")) return [e / a, 0];
    if (!axes.includes("x")) return [0, f / d];
    const determinant = a * d - b * c;
    return [(e * d - b * f) / determinant, (a * f - e * c) / determinant];
  }

  function hull(points) {
    const sorted = [...points].sort((p, q) => p[0] - q[0] || p[1] - q[1]);
    const half = (list) => {
      const kept = [];
      for (const p of list) {
        while (kept.length > 1) {
          const [o, a] = kept.slice(-2);
          if ((a[0] - o[0]) * (p[1] - o[1]) - (a[1] - o[1]) * (p[0] - o[0]) > 0) break;
          kept.pop();
        }
        kept.push(p);
      }
      return kept.slice(0, -1);
    };
    return [...half(sorted), ...half(sorted.reverse())];
  }

  function inNumbers(offset, axes) {
    const picked = { x: offset[0], y: offset[1] };
    return axes.map((axis) => String(Math.round(100 * picked[axis]))).join(" ");
  }

  function fromNumbers(text, axes) {
    const given = text.split(" ").map((number) => Number(number) / 100);
    return [axes.includes("x") ? given[0] : 0, axes.includes("y") ? given[axes.length - 1] : 0];
  }

  class Stage {
    /* The image, and over it the block that can be moved. */
    constructor(parent, trial, onMove) {
      this.trial = trial;
      this.offset = [0, 0];
      this.onMove = onMove;
      const frame = element(parent, "div", { class: "stage" });
      element(frame, "img", { src: trial.image, alt: "the scene", draggable: "false" });
      if (!trial.silhouette) return;
      this.svg = document.createElementNS(SVG, "svg");
      this.svg.setAttribute("viewBox", "0 0 1 1");
      frame.append(this.svg);
      this.ghost = this.polygon("ghost");
      this.block = this.polygon("block");
      if (trial.cross) this.mark(fromNumbers(trial.cross, trial.axes), "cross");
      this.draw(this.ghost, [0, 0]);
      this.draw(this.block, this.offset);
      this.listen();
    }

    polygon(name) {
      const made = document.createElementNS(SVG, "polygon");
      made.setAttribute("class", name);
      this.svg.append(made);
      return made;
    }

    draw(polygon, offset) {
      const { silhouette } = this.trial;
      const points = hull(silhouette.corners.map((corner) => moved(silhouette, corner, offset)));
      polygon.setAttribute("points", points.map((point) => point.join(",")).join(" "));
    }

    mark(offset, name) {
      const [x, y] = moved(this.trial.silhouette, this.trial.silhouette.center, offset);
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", name);
      path.setAttribute("d", `M${x - 0.03},${y}h.06M${x},${y - 0.03}v.06`);
      this.svg.append(path);
    }

    showSolution(text) {
      this.draw(this.polygon("solution"), fromNumbers(text, this.trial.axes));
    }

    listen() {
      this.onPointer = (event) => {
        if (!this.held && event.type !== "pointerdown") return;
        event.preventDefault();
        const box = this.svg.getBoundingClientRect();
        const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
        const { silhouette, axes } = this.trial;
        if (event.type === "pointerdown") {
          this.svg.setPointerCapture(event.pointerId);
          const now = moved(silhouette, silhouette.center, this.offset);
          const onBlock = event.target === this.block;
          this.held = onBlock ? [now[0] - at[0], now[1] - at[1]] : [0, 0];
        }
        const aim = [at[0] + this.held[0], at[1] + this.held[1]];
        this.moveTo(offsetAt(silhouette, aim, axes));
        if (event.type === "pointerup") this.held = null;
      };
      for (const name of ["pointerdown", "pointermove", "pointerup"])
        this.svg.addEventListener(name, this.onPointer);
      this.svg.addEventListener("pointercancel", () => { this.held = null; });
      this.onKey = (event) => {
        const step = KEYS[event.key.toLowerCase()];
        if (!step) return;
        event.preventDefault();
        const size = event.shiftKey ? 5 * STEP : STEP;
        const [x, y] = this.trial.axes.length > 1 ? step : this.trial.axes[0] === "x"
          ? [step[0], 0] : [0, step[1]];
        this.moveTo([this.offset[0] + size * x, this.offset[1] + size * y]);
      };
      document.addEventListener("keydown", this.onKey);
    }

    moveTo(offset) {
      if (!offset.every(Number.isFinite)) return;
      this.offset = offset.map((value) => Math.max(-10, Math.min(10, value)));
      this.draw(this.block, this.offset);
      this.onMove();
    }

    close() {
      if (!this.svg) return;
      document.removeEventListener("keydown", this.onKey);
      for (const name of ["pointerdown", "pointermove", "pointerup"])
        this.svg.removeEventListener(name, this.onPointer);
    }
  }

  class TowerTrialPlugin {
    constructor(jsPsych) { this.jsPsych = jsPsych; }

    trial(display, trial) {
      const placing = trial.axes.length > 0;
      const page = element(display, "div", { class: "trial" });
      element(page, "p", { class: "progress" }, trial.progress);
      element(page, "p", { class: "question", id: "question" }, trial.question);
      const began = performance.now();
      const answer = (text) => {
        const rt = Math.round(performance.now() - began);
        stage.close();
        this.jsPsych.pluginAPI.cancelAllKeyboardResponses();
        for (const button of buttons.children) button.disabled = true;
        const finish = () => {
          display.replaceChildren();
          this.jsPsych.finishTrial({ rt, answer: text });
        };
        if (trial.solution === null) finish();
        else this.feedback(page, buttons, stage, trial, text, finish);
      };
      let done = null;
      const stage = new Stage(page, trial, () => { done.disabled = false; });
      const buttons = element(page, "div", { class: "buttons" });
      if (placing) {
        done = element(buttons, "button", { type: "button", id: "done" }, "Done");
        done.disabled = true;
        done.addEventListener("click", () => answer(inNumbers(stage.offset, trial.axes)));
        const arrows = trial.axes.length > 1 ? "arrow keys" : trial.axes[0] === "x"
          ? "the left and right arrow keys" : "the up and down arrow keys";
        element(page, "p", { class: "help" }, `Drag the red outline, or use ${arrows}; then press Done.`);
        return;
      }
      for (const word of ["Yes", "No"]) {
        const button = element(buttons, "button", { type: "button", id: word.toLowerCase() }, word);
        button.addEventListener("click", () => answer(word));
      }
      element(page, "p", { class: "help" }, "Click, or press Y or N on the keyboard.");
      this.jsPsych.pluginAPI.getKeyboardResponse({
        callback_function: ({ key }) => answer(key.toLowerCase() === "y" ? "Yes" : "No"),
        valid_responses: ["y", "n"],
        persist: false,
        allow_held_key: false,
      });
    }

    /* In practice: say what was right, and wait. */
    feedback(page, buttons, stage, trial, text, finish) {
      const placing = trial.axes.length > 0;
      if (placing) stage.showSolution(trial.solution);
      const right = text === trial.solution;
      const words = placing
        ? "The green outline shows the best place."
        : `${right ? "That is right." : "That is not right."} The answer is ${trial.solution}.`;
      page.querySelector(".help").textContent = words;
      const next = element(buttons, "button", { type: "button", id: "next" }, "Continue");
      next.addEventListener("click", finish);
      next.focus();
    }
  }
  TowerTrialPlugin.info = info;
  return TowerTrialPlugin;
})();
