// Where a line ends: gives a `_line` at the newline between two lines, and nothing at one inside of a line.
//
// As hdas_dsl/parse/raw_tokens.py says it, a line goes on before an infix operator. It also goes on behind one and
// inside of brackets, where the grammar allows no `_line`; and a closing brace or the end of the text needs none.

#include "tree_sitter/parser.h"

#include <stdlib.h>
#include <string.h>

enum { LINE };

#define LONGEST 8

// The words before which a line goes on; INFIX of hdas_dsl/parse/keywords.py, and so are the signs below.
static const char *const WORDS[] = {"in", "and", "or", "if", "then", "else", "as", "weight", "of", "where", "with"};
static const char *const SIGNS = "+-*/%<>|.=:@,{";

void *tree_sitter_hsp_external_scanner_create(void) { return NULL; }

void tree_sitter_hsp_external_scanner_destroy(void *payload) { (void)payload; }

unsigned tree_sitter_hsp_external_scanner_serialize(void *payload, char *buffer) {
  (void)payload;
  (void)buffer;
  return 0;
}

void tree_sitter_hsp_external_scanner_deserialize(void *payload, const char *buffer, unsigned length) {
  (void)payload;
  (void)buffer;
  (void)length;
}

static bool is_space(int32_t c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f'; }

static bool is_word(int32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Whether what follows, the first on its line, continues the line before.
static bool goes_on(TSLexer *lexer) {
  int32_t first = lexer->lookahead;
  if (is_word(first)) {
    char word[LONGEST] = {0};
    for (unsigned length = 0; is_word(lexer->lookahead); lexer->advance(lexer, false), length++) {
      if (length < LONGEST - 1) word[length] = (char)lexer->lookahead;
      else return false;
    }
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
      if (strcmp(word, WORDS[i]) == 0) return true;
    return false;
  }
  if (first == '!') {
    lexer->advance(lexer, false);
    return lexer->lookahead == '=';
  }
  return first != 0 && first < 128 && strchr(SIGNS, (int)first) != NULL;
}

bool tree_sitter_hsp_external_scanner_scan(void *payload, TSLexer *lexer, const bool *valid_symbols) {
  (void)payload;
  if (!valid_symbols[LINE]) return false;
  while (is_space(lexer->lookahead)) lexer->advance(lexer, true);
  if (lexer->lookahead != '\n') return false;
  lexer->advance(lexer, false);
  lexer->mark_end(lexer);
  for (;;) {
    while (is_space(lexer->lookahead) || lexer->lookahead == '\n') lexer->advance(lexer, false);
    if (lexer->lookahead != '#') break;
    while (lexer->lookahead != '\n' && !lexer->eof(lexer)) lexer->advance(lexer, false);
  }
  if (lexer->eof(lexer) || lexer->lookahead == '}' || goes_on(lexer)) return false;
  lexer->result_symbol = LINE;
  return true;
}
