"use strict";

// Keeps the page up to date. Without it the page works too: the form is sent, the page reloads.
(() => {
  const PAUSE = 200; // ms without a keystroke, after which the filter is used
  const MINUTE = 60_000; // ms; "in 3 h" is true for about as long
  const AGAIN = 10_000; // ms until the next attempt, if the server refused the stream of events
  const PARTS = ["head", "found"];

  const base = document.body.dataset.base;
  const live = document.getElementById("live");
  const form = document.querySelector("form");
  let number = document.body.dataset.number;
  let source = null, isLost = false, isStale = false, isBusy = false;

  // A screen reader says each change of such an element.
  function tell(element, words) {
    if (element && element.textContent !== words) element.textContent = words;
  }

  function say(words, isGood) {
    tell(live, words);
    live.className = isGood ? "g" : "w";
  }

  function lost() {
    const time = document.querySelector("#head time").textContent;
    isLost = true;
    say(`no connection; as of ${time}`, false);
  }

  // A name of an element that its successor has too.
  function nameOf(element) {
    if (element.id) return `#${CSS.escape(element.id)}`;
    if (element.tagName === "SUMMARY") return `${nameOf(element.parentElement)} summary`;
    if (element.tagName === "A") return `a[href="${CSS.escape(element.getAttribute("href"))}"]`;
    return "";
  }

  function keyOf(element) {
    return element.id || element.querySelector("a")?.getAttribute("href") || element.tagName;
  }

  // Gives an element the children of its successor, and keeps those that are the same: of thousands
  // of gateways few change.
  function update(old, fresh) {
    const known = new Map([...old.children].map((each) => [keyOf(each), each]));
    const next = [...fresh.children].map((each) => {
      const key = keyOf(each), was = known.get(key);
      known.delete(key);
      const isList = was?.matches("ul.list") && each.matches("ul.list");
      if (isList) update(was, each);
      return isList || was?.isEqualNode(each) ? was : each;
    });
    const staying = new Set(next);
    for (const each of [...old.children]) if (!staying.has(each)) each.remove();
    let place = old.firstElementChild;
    for (const each of next) {
      if (each === place) place = place.nextElementSibling;
      else old.insertBefore(each, place);
    }
  }

  function replace(old, fresh) {
    const open = [...old.querySelectorAll("details[open]")].map((each) => each.id);
    const focused = old.contains(document.activeElement) ? nameOf(document.activeElement) : "";
    update(old, fresh);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused && !old.contains(document.activeElement)) {
      old.querySelector(focused)?.focus({ preventScroll: true });
    }
  }

  // Returns a function that scrolls the gateway in the middle of the window back to where it is now.
  function anchor() {
    const middle = document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest(".list > li");
    if (!middle || scrollY === 0) return () => {};
    const name = nameOf(middle.querySelector("a")), top = middle.getBoundingClientRect().top;
    return () => {
      const now = document.querySelector(`.list ${name}`)?.closest("li");
      if (now) scrollBy({ top: now.getBoundingClientRect().top - top, behavior: "instant" });
    };
  }

  function isSelecting() {
    const selection = getSelection();
    return !selection.isCollapsed && document.querySelector("main").contains(selection.anchorNode);
  }

  async function refresh() {
    if (document.hidden || isBusy || isSelecting()) {
      isStale = true;
      return;
    }
    [isBusy, isStale] = [true, false];
    try {
      const asked = location.href;
      const answer = await fetch(asked, { cache: "no-store" });
      if (answer.status === 404) location.assign(`${base || "./"}`);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      number = fresh.body.dataset.number;
      document.title = fresh.title;
      document.getElementById("icon").href = fresh.getElementById("icon").href;
      const scrollBack = anchor();
      for (const id of PARTS) replace(document.getElementById(id), fresh.getElementById(id));
      scrollBack();
      requestAnimationFrame(() => requestAnimationFrame(scrollBack)); // rows seen now have a height
      tell(document.getElementById("shown"), fresh.getElementById("shown")?.textContent);
      isStale ||= asked !== location.href;
      if (source?.readyState === EventSource.OPEN) say("live", true);
    } catch {
      lost();
    } finally {
      isBusy = false;
    }
    if (isStale) refresh();
  }

  function connect() {
    source = new EventSource(`${base}events?since=${number}`);
    source.onopen = () => {
      say("live", true);
      if (isLost) refresh();
      isLost = false;
    };
    source.addEventListener("changed", refresh);
    source.onerror = () => {
      lost();
      if (source?.readyState === EventSource.CLOSED) setTimeout(reconnect, AGAIN);
    };
  }

  function reconnect() {
    if (!document.hidden && source?.readyState === EventSource.CLOSED) connect();
  }

  function filter() {
    const chosen = [...new FormData(form)].filter(([, value]) => value.trim());
    const query = new URLSearchParams(chosen).toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    refresh();
  }

  let pause = 0;
  form?.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(filter, PAUSE);
  });
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });

  // A page that nobody sees asks nothing: browsers have few connections to a server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else {
      connect();
      refresh();
    }
  });
  document.addEventListener("selectionchange", () => {
    if (isStale && !isBusy && !isSelecting()) refresh();
  });
  setInterval(refresh, MINUTE);
  if (!document.hidden) connect();
})();
