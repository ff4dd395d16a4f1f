; What each part of a text is, by the capture names that Neovim, Helix and Zed share.
; No two patterns capture the same node, since editors differ in which of two wins.

(comment) @comment
(string) @string
(path) @string.special.path
[(number) (version)] @number

[
  "hsp" "use" "op" "choice" "cell" "stage" "network"
  "search" "method" "train" "equivalence" "provenance" "phase"
] @keyword

[
  "output" "aux" "require" "minimize" "maximize" (prune)
  "as" "with" "external" "where" "weight" "by"
  "if" "then" "else" "pick" "any" "of" "each" "earlier" "first" "last"
] @keyword

["and" "or" "not" "in"] @keyword.operator
["->" "|" "+" "-" "*" "/" "//" "%" "**" "==" "!=" "<" "<=" ">" ">=" "=" "@" ".." (dots)] @operator
["(" ")" "[" "]" "{" "}"] @punctuation.bracket
["," ";" ":" "."] @punctuation.delimiter

((name) @constant.builtin
  (#any-of? @constant.builtin "false" "first" "last" "open" "relaxed" "true"))

((name) @function.builtin
  (#any-of? @function.builtin
    "abs" "ceil" "concat" "exp" "floor" "grammar" "log" "max" "min" "prev" "round_to" "sqrt" "sum"))

(call function: (name) @function
  (#not-match? @function "^(abs|ceil|concat|exp|floor|grammar|log|max|min|prev|round_to|sqrt|sum)$"))

(op name: (ident) @function)
(menu name: (ident) @type)
(copy_part (ident) @type)
(param name: (ident) @variable.parameter)
(arg name: (ident) @variable.parameter)
(setting name: (ident) @property)
(phase name: (ident) @label)
(search method: (ident) @function)
(method name: (ident) @function)
(target (ident) @variable)
(field (ident) @variable.member)
