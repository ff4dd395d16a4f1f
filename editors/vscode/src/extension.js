// The extension: a client of `hdas-lsp`, and commands that run the compiler in a terminal.
"use strict";

const path = require("path");
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

// The words of the command line for each command, of a file and, for a comparison, of another.
const COMMANDS = {
  "hdas.search": (file) => ["hdas-compile", file, "--search"],
  "hdas.draw": (file) => ["hdas-compile", file, "--emit", "svg"],
  "hdas.diff": (file, other) => ["hdas-diff", file, other],
};

// A word as shells read it: a file may have any name.
function quoted(word) {
  return process.platform === "win32" ? `"${word.replace(/"/g, '""')}"` : `'${word.replace(/'/g, "'\\''")}'`;
}

async function other() {
  const filters = { "Search spaces": ["hsp"] };
  const found = await vscode.window.showOpenDialog({ canSelectMany: false, filters, openLabel: "Compare" });
  return found && found[0].fsPath;
}

async function run(command) {
  const editor = vscode.window.activeTextEditor;
  if (!editor || editor.document.languageId !== "hsp") return;
  await editor.document.save();
  const file = editor.document.uri.fsPath;
  const words = [file];
  if (COMMANDS[command].length > 1) {
    const second = await other();
    if (!second) return;
    words.push(second);
  }
  const [program, ...rest] = COMMANDS[command](...words);
  const terminal = vscode.window.createTerminal({ name: "hdas", cwd: path.dirname(file) });
  terminal.show();
  const target = command === "hdas.draw" ? ` > ${quoted(file.replace(/\.hsp$/, ".svg"))}` : "";
  terminal.sendText([program, ...rest.map(quoted)].join(" ") + target);
}

async function activate(context) {
  for (const command of Object.keys(COMMANDS)) {
    context.subscriptions.push(vscode.commands.registerCommand(command, () => run(command)));
  }
  const server = { command: vscode.workspace.getConfiguration("hdas").get("server") };
  client = new LanguageClient("hdas", "hdas-lsp", server, { documentSelector: [{ language: "hsp" }] });
  try {
    await client.start();
  } catch (error) {
    vscode.window.showWarningMessage(`${server.command} does not start: pip install 'hdas-dsl[lsp]' (${error.message})`);
  }
}

function deactivate() {
  return client && client.stop();
}

module.exports = { activate, deactivate, COMMANDS, quoted };
