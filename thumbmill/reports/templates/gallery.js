"use strict";
// thumbmill/reports/gallery.py, index_data(), describes what GALLERY holds.
(() => {
  const PAGE = 100;
  const $ = (id) => document.getElementById(id);
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // A number of bytes in a suitable unit.
  const bytes = (number) => {
    const units = ["bytes", "kB", "MB", "GB", "TB"];
    let unit = 0;
    while (number >= 999.5 && unit < units.length - 1) { number /= 1000; unit += 1; }
    return `${number.toFixed(unit && number < 99.95 ? 1 : 0)} ${units[unit]}`;
  };

  const pictures = [];
  const join = (folder, name) => (folder ? `${folder}/${name}` : name);
  GALLERY.folders.forEach(([folder, folderUrl, stemUrl, list], folderNumber) => {
    for (const [name, url, stem, size, width, height, thumbs, changed, reason] of list) {
      const path = join(folder, name);
      pictures.push({
        name, folder, folderNumber, path, size, width, height, thumbs, changed, reason,
        url: join(folderUrl, url), stem: join(stemUrl, stem),
        key: path.toLowerCase(),
      });
    }
  });

  const thumbUrl = (picture, number) => {
    const [size, , extension] = GALLERY.kinds[number];
    return `${GALLERY.output}/${encodeURIComponent(size)}/${picture.stem}${extension}`;
  };
  // Of the thumbnails that are there, the smallest that fills a card, or else the largest.
  const forCard = (picture) => {
    const there = picture.thumbs.map((thumb, number) => [thumb, number]).filter(([thumb]) => thumb);
    there.sort(([a], [b]) => a[0] * a[1] - b[0] * b[1]);
    const found = there.find(([thumb]) => Math.max(thumb[0], thumb[1]) >= 160) || there[there.length - 1];
    return found ? found[1] : -1;
  };
  const image = (picture, number, lazy) => {
    const [width, height] = picture.thumbs[number];
    return make("img", {
      loading: lazy ? "lazy" : "eager", decoding: "async", width, height, alt: picture.name, src: thumbUrl(picture, number),
    });
  };

  const state = { q: "", folder: "", show: "all", page: 1 };
  let shown = pictures;
  let open = -1; // the place in `shown` of the picture whose details are shown

  const readHash = () => {
    const values = new URLSearchParams(location.hash.slice(1));
    state.q = values.get("q") || "";
    state.folder = values.get("folder") || "";
    state.show = ["failed", "changed"].includes(values.get("show")) ? values.get("show") : "all";
    state.page = Math.max(1, Math.floor(Number(values.get("page"))) || 1);
    $("search").value = state.q;
    $("folder").value = state.folder;
    if ($("folder").selectedIndex < 0) state.folder = $("folder").value = "";
    document.querySelector(`[name=show][value=${state.show}]`).checked = true;
  };
  const writeHash = (replace) => {
    const values = new URLSearchParams();
    if (state.q) values.set("q", state.q);
    if (state.folder) values.set("folder", state.folder);
    if (state.show !== "all") values.set("show", state.show);
    if (state.page > 1) values.set("page", state.page);
    history[replace ? "replaceState" : "pushState"](null, "", `#${values}`);
  };

  const select = () => {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const folder = state.folder === "" ? null : Number(state.folder);
    shown = pictures.filter((picture) =>
      (folder === null || picture.folderNumber === folder)
      && (state.show !== "failed" || picture.reason)
      && (state.show !== "changed" || picture.changed)
      && words.every((word) => picture.key.includes(word)));
  };

  const card = (picture, place) => {
    const number = forCard(picture);
    const frame = make("div", { className: "frame" },
      number < 0 ? make("p", { textContent: picture.reason }) : image(picture, number, true));
    const sizes = picture.thumbs.filter(Boolean).map(([width, height]) => `${width}×${height}`).join(", ");
    const element = make("button", { type: "button", className: "card", title: picture.path }, frame,
      make("div", { className: "name", textContent: picture.name }),
      make("div", { className: "where", textContent: picture.folder || "\u00a0" }),
      make("div", { className: "sizes", textContent: picture.width ? `${picture.width}×${picture.height}, ${bytes(picture.size)}` : bytes(picture.size) }),
      make("div", { className: "sizes", textContent: sizes ? `→ ${sizes}` : "no thumbnail" }));
    element.dataset.path = picture.path;
    element.addEventListener("click", () => details(place));
    return element;
  };

  const draw = () => {
    const last = Math.max(1, Math.ceil(shown.length / PAGE));
    state.page = Math.min(state.page, last);
    const start = (state.page - 1) * PAGE;
    $("grid").replaceChildren(...shown.slice(start, start + PAGE).map((picture, number) => card(picture, start + number)));
    const number = (value) => value.toLocaleString("en");
    $("count").textContent = shown.length
      ? `${number(start + 1)} to ${number(Math.min(start + PAGE, shown.length))} of ${number(shown.length)}`
      : "No pictures match.";
    $("page").textContent = `Page ${number(state.page)} of ${number(last)}`;
    $("previous").disabled = state.page <= 1;
    $("next").disabled = state.page >= last;
    document.querySelector(".pager").hidden = last === 1;
  };
  const update = (replace) => { state.page = 1; select(); draw(); writeHash(replace); };
  const turn = (pages) => {
    const last = Math.max(1, Math.ceil(shown.length / PAGE));
    const page = Math.min(last, Math.max(1, state.page + pages));
    if (page === state.page) return;
    state.page = page;
    draw();
    writeHash(false);
    scrollTo(0, 0);
  };

  const details = (place) => {
    if (place < 0 || place >= shown.length) return;
    open = place;
    const picture = shown[place];
    $("detail-name").textContent = picture.path;
    const content = [];
    const there = picture.thumbs.map((thumb, number) => number).filter((number) => picture.thumbs[number]);
    if (there.length) {
      const largest = there.reduce((a, b) => (picture.thumbs[b][0] > picture.thumbs[a][0] ? b : a));
      content.push(image(picture, largest, false));
    }
    if (picture.reason) content.push(make("p", { className: "reason", textContent: picture.reason }));
    const row = (what, url, width, height, size) => make("tr", {},
      make("td", {}, make("a", { href: url, textContent: what })),
      make("td", { textContent: width ? `${width} × ${height}` : "" }), make("td", { textContent: bytes(size) }));
    content.push(make("table", {}, make("tbody", {},
      row("source", `${GALLERY.source}/${picture.url}`, picture.width, picture.height, picture.size),
      ...there.map((number) => row(GALLERY.kinds[number].slice(0, 2).join(", "), thumbUrl(picture, number), ...picture.thumbs[number])))));
    $("detail").replaceChildren(...content);
    if (!$("details").open) $("details").showModal();
  };

  const folders = GALLERY.folders.map(([path, , , list], number) =>
    make("option", { value: number, textContent: `${path || "(top)"} (${list.length.toLocaleString("en")})` }));
  $("folder").append(make("option", { value: "", textContent: "All folders" }), ...folders);
  const count = (test) => pictures.filter(test).length.toLocaleString("en");
  $("failed").textContent = count((picture) => picture.reason);
  $("changed").textContent = count((picture) => picture.changed);

  let waiting;
  $("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { state.q = $("search").value; update(true); }, 120);
  });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("folder").addEventListener("change", () => { state.folder = $("folder").value; update(false); });
  document.querySelectorAll("[name=show]").forEach((input) =>
    input.addEventListener("change", () => { state.show = input.value; update(false); }));
  $("previous").addEventListener("click", () => turn(-1));
  $("next").addEventListener("click", () => turn(1));
  $("close").addEventListener("click", () => $("details").close());
  $("details").addEventListener("click", (event) => { if (event.target === $("details")) $("details").close(); });
  $("details").addEventListener("close", () => {
    const cards = document.querySelectorAll(".card");
    (cards[open - (state.page - 1) * PAGE] || cards[0])?.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if ($("details").open) {
      if (step) details(open + step);
    } else if (event.target.matches("input, select")) {
      if (event.key !== "Escape") return;
      event.preventDefault();
      if (event.target === $("search")) $("search").value = state.q = "";
      event.target.blur();
      update(true);
    } else if (event.key === "/") {
      event.preventDefault();
      $("search").focus();
    } else if (step) {
      turn(step);
    }
  });
  addEventListener("popstate", () => { readHash(); select(); draw(); });
  readHash();
  select();
  draw();
})();
