-- Prints, as JSON, what an editor shows of the text that it has open: what is wrong with it, and what a cursor asks for.
local function ask(method, row, column)
  local params = {
    textDocument = vim.lsp.util.make_text_document_params(0),
    position = { line = row, character = column },
  }
  local _, answer = next(vim.lsp.buf_request_sync(0, method, params, 60000) or {})
  return answer and answer.result
end

vim.wait(60000, function() return #vim.diagnostic.get(0) > 0 end, 10)
vim.treesitter.get_parser(0):parse(true)
local row = tonumber(vim.env.ROW)
local shown = {
  diagnostics = vim.diagnostic.get(0),
  hover = ask("textDocument/hover", row, tonumber(vim.env.HOVER)),
  completion = ask("textDocument/completion", row, tonumber(vim.env.COMPLETE)),
  captures = vim.treesitter.get_captures_at_pos(0, 0, 0),
  highlighted = vim.treesitter.highlighter.active[vim.api.nvim_get_current_buf()] ~= nil,
}
io.stdout:write(vim.json.encode({
  codes = vim.tbl_map(function(item) return { item.lnum, item.col, item.code, item.message } end, shown.diagnostics),
  hover = shown.hover and shown.hover.contents.value,
  labels = vim.tbl_map(function(item) return item.label end, shown.completion or {}),
  captures = vim.tbl_map(function(item) return item.capture end, shown.captures),
  highlighted = shown.highlighted,
}))
vim.cmd("qall!")
