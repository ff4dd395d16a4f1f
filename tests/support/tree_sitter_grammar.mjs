// Prints what tree-sitter's generator calls grammar.json: node tests/support/tree_sitter_grammar.mjs .../grammar.js
import { createRequire } from "node:module";
import { resolve } from "node:path";

const asRule = (rule) =>
  typeof rule === "string" ? { type: "STRING", value: rule }
  : rule instanceof RegExp ? { type: "PATTERN", value: rule.source }
  : rule;
const several = (type) => (...rules) => ({ type, members: rules.map(asRule) });
const one = (type) => (rule) => ({ type, content: asRule(rule) });
const names = new Proxy({}, { get: (_, name) => ({ type: "SYMBOL", name }) });

Object.assign(globalThis, {
  seq: several("SEQ"),
  choice: several("CHOICE"),
  repeat: one("REPEAT"),
  repeat1: one("REPEAT1"),
  token: one("TOKEN"),
  optional: (rule) => choice(rule, { type: "BLANK" }),
  field: (name, rule) => ({ type: "FIELD", name, content: asRule(rule) }),
  alias: (rule, to) => ({ type: "ALIAS", content: asRule(rule), named: true, value: to.name }),
  grammar: ({ name, word, externals, extras, rules }) => ({
    name,
    word: word(names).name,
    rules: Object.fromEntries(Object.entries(rules).map(([key, rule]) => [key, asRule(rule(names))])),
    extras: extras(names).map(asRule),
    conflicts: [],
    precedences: [],
    externals: externals(names),
    inline: [],
    supertypes: [],
  }),
});
console.log(JSON.stringify(createRequire(import.meta.url)(resolve(process.argv[2]))));
