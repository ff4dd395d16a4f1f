// The commands, with a stand-in for VS Code and for the client.
"use strict";

const assert = require("node:assert");
const Module = require("node:module");
const test = require("node:test");

const manifest = require("../package.json");

const said = { registered: {}, sent: [], started: [], warned: [] };
const vscode = {
  commands: { registerCommand: (name, run) => (said.registered[name] = run) },
  window: {
    activeTextEditor: { document: { languageId: "hsp", uri: { fsPath: "/a b/it's.hsp" }, save: async () => true } },
    createTerminal: () => ({ show: () => {}, sendText: (text) => said.sent.push(text) }),
    showOpenDialog: async () => [{ fsPath: "/other.hsp" }],
    showWarningMessage: (text) => said.warned.push(text),
  },
  workspace: { getConfiguration: () => ({ get: () => "hdas-lsp" }) },
};
class LanguageClient {
  constructor(...given) {
    said.started.push(given);
  }
  async start() {
    throw new Error("no such file");
  }
}
const load = Module._load;
Module._load = (name, ...rest) =>
  name === "vscode" ? vscode : name === "vscode-languageclient/node" ? { LanguageClient } : load(name, ...rest);
const extension = require("../src/extension.js");

test("every command of the manifest is registered, and runs the compiler on the file", async () => {
  await extension.activate({ subscriptions: [] });
  const known = manifest.contributes.commands.map((item) => item.command);
  assert.deepStrictEqual(Object.keys(said.registered).sort(), known.sort());
  assert.strictEqual(said.started[0][2].command, "hdas-lsp");
  assert.match(said.warned[0], /hdas-lsp does not start: pip install/);
  for (const name of ["hdas.search", "hdas.draw", "hdas.diff"]) await said.registered[name]();
  assert.deepStrictEqual(said.sent, [
    `hdas-compile '/a b/it'\\''s.hsp' '--search'`,
    `hdas-compile '/a b/it'\\''s.hsp' '--emit' 'svg' > '/a b/it'\\''s.svg'`,
    `hdas-diff '/a b/it'\\''s.hsp' '/other.hsp'`,
  ]);
});
