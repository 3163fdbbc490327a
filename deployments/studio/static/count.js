// Weighted length as X counts it, and as the server does (pipelines/text/tweets.py): NFC, a link 23, an emoji 2, other
// characters 1 or 2. Top-level domains and emoji come from the server; until they are here a link needs none of them.
"use strict";

(() => {
  const PUNCT = "!'#%&'()*+,\\-./:;<=>?@\\[\\]\\\\\\^_{|}~$";
  const SPACES = "\\u0009-\\u000D \\u0085\\u00A0\\u180E\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000";
  const INVALID = "\\uFFFE\\uFEFF\\uFFFF";
  const DIRECTIONAL = "\\u202A-\\u202E\\u061C\\u200E\\u200F\\u2066-\\u2069";
  // A to Z, and the Turkish dotted I, which is an i to the server's patterns.
  const LETTERS = "a-z\\u0130";
  const LATIN =
    "\\u00C0-\\u00D6\\u00D8-\\u00F6\\u00F8-\\u024F\\u0253\\u0254\\u0256\\u0257\\u0259\\u025B\\u0263\\u0268\\u026F" +
    "\\u0272\\u0289\\u028B\\u02BB\\u0300-\\u036F\\u1E00-\\u1EFF";
  const CHARACTER = `[^${PUNCT}${SPACES}${INVALID}${DIRECTIONAL}]`;
  const LABEL = `${CHARACTER}+(?:[_\\-]+${CHARACTER}+)*`;
  const BARE_LABEL = `[a-z0-9${LATIN}][\\-a-z0-9${LATIN}]*`;
  const DOT = `\\.(?=${CHARACTER})`;
  const IN_PATH = `[${LETTERS}\\u0400-\\u04FF0-9!*';:=+,.$\\/%#\\[\\]\\-\\u2013_~@|&${LATIN}]`;
  const PARENTHESES = `\\((?:${IN_PATH}+|${IN_PATH}*\\(${IN_PATH}+\\)${IN_PATH}*)\\)`;
  const PATH_END = `(?:[+\\-${LETTERS}\\u0400-\\u04FF0-9=_#\\/${LATIN}]|${PARENTHESES})`;
  const PATH = `(?:${IN_PATH}*(?:${PARENTHESES}${IN_PATH}*)*${PATH_END}|@${IN_PATH}+\\/)`;
  const QUERY = `\\?[${LETTERS}0-9!?*'@();:&=+$\\/%#\\[\\]\\-_.,~|]*[${LETTERS}0-9\\-_&=#\\/]`;
  const CHUNK = /\P{White_Space}+/gu;
  const HOST = new RegExp(
    // The dotless i is a letter of A to Z where a class says what may not be.
    `(?<before>[^${LETTERS}\\u01310-9@\\uFF20$#\\uFF03${INVALID}]|^)` +
      `(?<url>https?:\\/\\/(?<domain>(?:${LABEL}${DOT})+${LABEL})|(?:${BARE_LABEL}${DOT})+${LABEL})`,
    "giu",
  );
  const TOP_LEVEL = /^[0-9A-Za-z-]+/;
  const PUNYCODE = /^xn--[-0-9a-z]+$/i;
  const TAIL = new RegExp(`(?::[0-9]+)?(?<path>\\/${PATH}?)?(?:${QUERY})?`, "yiu");
  const SHORT = new RegExp(`https?:\\/\\/t\\.co\\/([${LETTERS}0-9]+)(?:${QUERY})?`, "yiu");
  const LIGHT = [[0x0000, 0x10ff], [0x2000, 0x200d], [0x2010, 0x201f], [0x2032, 0x2037]];
  const TEXT_STYLE = "\ufe0e", EMOJI_STYLE = "\ufe0f";

  let domains = new Set(), longestDomain = 0, emoji = new Map(), weights = { url: 23, emoji: 2 };

  function learn(told) {
    domains = new Set(told.domains.split(" "));
    longestDomain = Math.max(...[...domains].filter((each) => !isAscii(each)).map((each) => each.length));
    weights = { url: told.url_length, emoji: told.emoji_length };
    emoji = new Map();
    for (const sequence of told.emoji.split(" ")) {
      const first = String.fromCodePoint(sequence.codePointAt(0));
      if (!emoji.has(first)) emoji.set(first, []);
      emoji.get(first).push(sequence);
    }
    // The longest first, in code points as the server has it.
    for (const found of emoji.values()) found.sort((one, other) => [...other].length - [...one].length);
  }

  function isAscii(text) {
    return /^[\0-\x7f]*$/.test(text);
  }

  function weightedLength(text) {
    if (isAscii(text) && !text.includes(".")) return text.length;
    text = text.normalize("NFC");
    let length = plainLength(text);
    for (const [start, end, weight] of marks(text)) length += weight - plainLength(text.slice(start, end));
    return length;
  }

  function plainLength(text) {
    let length = 0;
    for (const character of text) {
      const code = character.codePointAt(0);
      length += LIGHT.some(([first, last]) => first <= code && code <= last) ? 1 : 2;
    }
    return length;
  }

  function marks(text) {
    const found = [...links(text), ...emojiIn(text)].sort((one, other) => one[0] - other[0] || one[1] - other[1]);
    const kept = [];
    for (const mark of found) if (!kept.length || mark[0] >= kept.at(-1)[1]) kept.push(mark);
    return kept;
  }

  function* emojiIn(text) {
    let position = 0;
    while (position < text.length) {
      const first = String.fromCodePoint(text.codePointAt(position));
      const found = emoji.get(first)?.find(
        (each) => text.startsWith(each, position) && !text.startsWith(TEXT_STYLE, position + each.length),
      );
      let end = position + first.length;
      if (found) {
        end = position + found.length;
        if (text.startsWith(EMOJI_STYLE, end)) end += 1;
        yield [position, end, weights.emoji];
      }
      position = end;
    }
  }

  function* links(text) {
    let position = 0;
    for (const chunk of text.matchAll(CHUNK)) {
      if (!chunk[0].slice(1, -1).includes(".")) continue;
      const within = text.slice(0, chunk.index + chunk[0].length);
      position = Math.max(position, chunk.index - 1);
      for (;;) {
        HOST.lastIndex = position;
        const host = HOST.exec(within);
        if (!host) break;
        position = HOST.lastIndex;
        const { before, url, domain } = host.groups;
        const start = position - url.length;
        if (!domain && "-_./".includes(before) && before) continue;
        let end = domainEnd(text, domain ? position - domain.length : start, position);
        if (end === null) continue;
        TAIL.lastIndex = end;
        const tail = TAIL.exec(within);
        position = tail ? TAIL.lastIndex : end;
        // Without a protocol a port or a query alone is no part of the link.
        if (tail && (domain || tail.groups.path)) end = position;
        SHORT.lastIndex = start;
        const short = domain ? SHORT.exec(text.slice(0, end)) : null;
        if (short && short[1].length > 40) continue;
        if (short) end = SHORT.lastIndex;
        if ([...text.slice(start, end)].length <= 4096) yield [start, end, weights.url];
      }
    }
  }

  function domainEnd(text, start, stop) {
    const labels = text.slice(start, stop).split(".");
    let end = stop;
    for (let index = labels.length - 1; index > 0; index -= 1) {
      const length = topLevelLength(labels[index]);
      // What follows a top-level domain in no link: an address of somebody (john.gov@...).
      const glued = length === labels[index].length && end < text.length && "@+-".includes(text[end]);
      if (length && !glued && !labels[index - 1].includes("_")) {
        end += length - labels[index].length;
        return labels.slice(0, index).every(isLabel) ? end : null;
      }
      end -= labels[index].length + 1;
    }
    return null;
  }

  function topLevelLength(label) {
    const lead = TOP_LEVEL.exec(label);
    if (lead) return domains.has(lead[0].toLowerCase()) || PUNYCODE.test(lead[0]) ? lead[0].length : 0;
    for (let n = Math.min(label.length, longestDomain); n > 0; n -= 1) if (domains.has(label.slice(0, n))) return n;
    return 0;
  }

  function isLabel(label) {
    if (isAscii(label)) return label.length <= 63;
    return !label.startsWith("xn--") && punycodeLength(label) + 4 <= 63;
  }

  // How long a label is in punycode (RFC 3492, section 6.3).
  function punycodeLength(label) {
    const codes = [...label].map((character) => character.codePointAt(0));
    const basic = codes.filter((code) => code < 128).length;
    let n = 128, delta = 0, bias = 72, handled = basic, length = basic + (basic ? 1 : 0);
    while (handled < codes.length) {
      const next = Math.min(...codes.filter((code) => code >= n));
      delta += (next - n) * (handled + 1);
      n = next;
      for (const code of codes) {
        if (code < n) delta += 1;
        if (code !== n) continue;
        let rest = delta;
        for (let k = 36; ; k += 36) {
          const threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
          length += 1;
          if (rest < threshold) break;
          rest = Math.floor((rest - threshold) / (36 - threshold));
        }
        delta = Math.floor(delta / (handled === basic ? 700 : 2));
        delta += Math.floor(delta / (handled + 1));
        let k = 0;
        for (; delta > 455; k += 36) delta = Math.floor(delta / 35);
        bias = k + Math.floor((36 * delta) / (delta + 38));
        delta = 0;
        handled += 1;
      }
      delta += 1;
      n += 1;
    }
    return length;
  }

  // What the server makes of a text before it counts: line ends as one character, no white space around it.
  function normalized(text) {
    return text
      .replace(/\r\n|[\r\x85\u2028\u2029]/g, "\n")
      .replace(/^[\p{White_Space}\x1c-\x1f]+|[\p{White_Space}\x1c-\x1f]+$/gu, "")
      .normalize("NFC");
  }

  window.studioCount = { learn, weightedLength, normalized };
})();
