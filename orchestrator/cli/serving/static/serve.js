// Keeps a page fresh: events say that something changed, then the page itself is fetched again and the
// parts marked with data-live take the place of the old ones. Without this script every page works too.
"use strict";
(() => {
  const EVERY_MS = 1000;
  const SPOKEN_EVERY_MS = 15000;
  let topic = document.body.dataset.topic;
  const state = document.getElementById("live-state");
  const spoken = document.getElementById("spoken");
  let source = null;
  let last = 0;
  let waiting = null;
  let busy = false;
  let spokenAt = Date.now();

  const say = (text) => { if (state && state.textContent !== text) state.textContent = text; };

  const sameNode = (old, fresh) => old.outerHTML === fresh.outerHTML;

  function put(old, fresh) {
    if (sameNode(old, fresh)) return;
    const open = new Set([...old.querySelectorAll("details[open]")].map((one) => one.id));
    const across = [...old.querySelectorAll(".scroll, pre")].map((one) => [one.scrollLeft, one.scrollTop]);
    const focus = old.contains(document.activeElement) ? document.activeElement : null;
    const focused = focus && (focus.id ? `#${CSS.escape(focus.id)}`
      : focus.getAttribute("href") ? `[href="${CSS.escape(focus.getAttribute("href"))}"]` : "");
    const taken = document.importNode(fresh, true);
    for (const one of taken.querySelectorAll("details")) if (one.id && open.has(one.id)) one.open = true;
    old.replaceWith(taken);
    taken.querySelectorAll(".scroll, pre").forEach((one, at) => {
      if (across[at]) [one.scrollLeft, one.scrollTop] = across[at];
    });
    for (const log of taken.querySelectorAll("pre.log")) log.scrollTop = log.scrollHeight;
    if (focused) taken.querySelector(focused)?.focus({ preventScroll: true });
  }

  function takeOver(text, all) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const old of document.querySelectorAll(all)) {
      const found = old.id && fresh.getElementById(old.id);
      if (found) put(old, found);
    }
  }

  async function refresh() {
    if (busy) { again(); return; }
    busy = true;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (answer.ok) takeOver(await answer.text(), "[data-live]");
      else if (answer.status === 401 || answer.redirected) location.reload();
    } catch { /* the stream of events says when the server is back */ } finally { busy = false; }
    const headline = document.getElementById("headline");
    if (spoken && headline && Date.now() - spokenAt > SPOKEN_EVERY_MS) {
      spokenAt = Date.now();
      spoken.textContent = headline.textContent.trim();
    }
  }

  function again() {
    if (waiting !== null || document.hidden) return;
    const pause = Math.max(0, EVERY_MS - (Date.now() - last));
    waiting = setTimeout(() => { waiting = null; refresh(); }, pause);
  }

  // A browser opens six connections to a server at most: pages that nobody sees give theirs back.
  function listen() {
    if (document.hidden) { source?.close(); source = null; return; }
    if (source) return;
    source = new EventSource(`/live?topic=${encodeURIComponent(topic)}`);
    source.onopen = () => say("live");
    source.onmessage = again;
    source.onerror = () => {
      say("not live: the server does not answer, trying again");
      if (source && source.readyState === EventSource.CLOSED) { source = null; setTimeout(listen, 3000); }
    };
  }

  if (topic && "EventSource" in window) {
    document.addEventListener("visibilitychange", listen);
    window.addEventListener("pagehide", () => { source?.close(); source = null; });
    window.addEventListener("pageshow", listen);
    listen();
  }

  // An answer that is still being worked out is waited for.
  function attend(other) {
    if (!other || other === topic) return;
    topic = other;
    source?.close();
    source = null;
    listen();
  }

  // Filters and the calculator answer while they are filled in; their button remains.
  for (const form of document.querySelectorAll("form[data-auto]")) {
    let timer = null;
    let turn = 0;
    const target = form.getAttribute("data-auto"); // a field named "dataset" hides form.dataset
    const send = async () => {
      const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
      const url = `${form.getAttribute("action") || location.pathname}?${asked}`;
      const mine = ++turn;
      const shown = document.querySelector(target);
      shown?.setAttribute("aria-busy", "true");
      try {
        const answer = await fetch(url, { credentials: "same-origin" });
        const text = await answer.text();
        if (mine !== turn) return;
        history.replaceState(null, "", url);
        takeOver(text, `${target}, [data-complaint]`);
        attend(new DOMParser().parseFromString(text, "text/html").body.dataset.topic);
        for (const one of document.querySelectorAll("[data-complaint]")) {
          const field = document.getElementById(one.dataset.complaint);
          const around = one.textContent && field?.closest("details");
          if (around) around.open = true;
          if (one.textContent) field?.setAttribute("aria-invalid", "true");
          else field?.removeAttribute("aria-invalid");
        }
      } catch { say("the server does not answer"); }
      finally { if (mine === turn) document.querySelector(target)?.removeAttribute("aria-busy"); }
    };
    form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(send, 350); });
    form.addEventListener("submit", (event) => {
      if (event.submitter?.name) return;
      event.preventDefault(); clearTimeout(timer); send();
    });
  }

  // What removes or ends something asks once more.
  document.addEventListener("submit", (event) => {
    const asks = event.target.getAttribute("data-ask");
    if (asks && !window.confirm(asks)) event.preventDefault();
  });
  for (const log of document.querySelectorAll("pre.log")) log.scrollTop = log.scrollHeight;
})();
