// What only a browser knows about a page: each function returns the faults it finds, in words.
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const named = (e) => `<${e.tagName.toLowerCase()} class="${e.getAttribute("class") || ""}"> ${e.textContent.trim().slice(0, 40)}`;
  const all = (selector) => [...document.querySelectorAll(selector)];

  window.checks = {
    // Text that has less than 4.5 to 1 against all that is painted under it.
    contrast() {
      const faults = [];
      for (const e of all("body *")) {
        if (e.closest("svg") || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility()) continue;
        const grounds = [];
        for (let up = e; up; up = up.parentElement) grounds.unshift(getComputedStyle(up).backgroundColor);
        const under = paint(["#fff", ...grounds]);
        const ink = paint([`rgb(${under})`, getComputedStyle(e).color]);
        const [high, low] = [luminance(under), luminance(ink)].sort((a, b) => b - a);
        const ratio = (high + 0.05) / (low + 0.05);
        if (ratio < 4.5) faults.push(`${ratio.toFixed(2)}: ${named(e)}`);
      }
      return faults;
    },
    // What sticks out of the window to the right, unless it lies in a box that scrolls.
    overflow() {
      const wide = document.documentElement.scrollWidth - window.innerWidth;
      if (wide <= 0) return [];
      const out = all("body *").filter((e) => e.getBoundingClientRect().right > window.innerWidth + 1 && !e.closest(".scroll, pre"));
      return [`${wide} px too wide`, ...out.slice(0, 5).map(named)];
    },
    // Boxes that scroll and cannot be reached by keyboard.
    unreachable() {
      const scrolls = (e) => e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(e).overflowX);
      return all("body *").filter((e) => scrolls(e) && e.tabIndex < 0).map(named);
    },
    // Headings that are more than one level below the one before.
    skipped() {
      const levels = all("h1, h2, h3, h4, h5, h6");
      return levels.filter((e, i) => i && Number(e.tagName[1]) > Number(levels[i - 1].tagName[1]) + 1).map(named);
    },
    // Pictures without a name.
    nameless() {
      const hidden = (e) => e.closest("[aria-hidden=true]") || (e.tagName === "svg" && !e.checkVisibility());
      const name = (e) => e.alt || e.getAttribute("aria-label") || document.getElementById(e.getAttribute("aria-labelledby"))?.textContent;
      return all("img, svg").filter((e) => !hidden(e) && !name(e)).map(named);
    },
    // What stays folded, although it is to be seen; contents are for screens.
    folded() {
      return all("main details > :not(summary)").filter((e) => !e.checkVisibility() || !e.getBoundingClientRect().height).map(named);
    },
    // How many there are of each, so that a test knows that it looked at some.
    counts() {
      return { headings: all("h2, h3").length, pictures: all("img, svg").length, scrolls: all(".scroll").length, folds: all("main details").length };
    },
  };
})();
