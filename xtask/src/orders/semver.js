// node-semver in its loose mode, as npm reads versions of packages.
const lines = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1);
const { SemVer } = require("semver");
const parse = (text) => new SemVer(text, { loose: true });
const answer = (line) => {
  const [a, b] = line.split("\t");
  try {
    return "<=>"[parse(a).compare(parse(b)) + 1];
  } catch {
    return "?";
  }
};
console.log(lines.map(answer).join("\n"));
