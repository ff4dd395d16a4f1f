/**
 * The language of search spaces (.hsp) for tree-sitter.
 *
 * The rules are those of hdas_dsl/parse/grammar.lark, which decides. Nodes are named after the classes of its syntax tree.
 * A line goes on inside of brackets and around operators, which src/scanner.c decides: it gives a `_line` between two lines.
 */

const commas = (rule) => seq(rule, repeat(seq(',', rule)));

/** Lines in braces: nothing, or lines between which one starts. */
const block = ($, line) => seq('{', optional(seq(line, repeat(seq($._line, line)))), '}');

const infix = (left, sign, right) =>
  seq(field('left', left), field('operator', sign), field('right', right));

module.exports = grammar({
  name: 'hsp',

  word: ($) => $._name,
  externals: ($) => [$._line],
  extras: ($) => [/[ \t\r\f\n]/, $.comment],

  rules: {
    module: ($) => seq('hsp', field('version', alias($._number, $.version)), repeat(seq($._line, $._definition))),

    // ---------------------------------------------------------------- definitions

    _definition: ($) =>
      choice($.use, $.op, $.menu, $.graph, $.search, $.method, $.train, $.equivalence, $.provenance),

    use: ($) =>
      seq(
        'use',
        field('path', alias($._string, $.path)),
        optional(seq('as', field('name', $.ident))),
        optional(seq('with', commas(alias($.replacement, $.binding)))),
      ),
    replacement: ($) => seq(alias($._single, $.target), '=', field('value', $._expr)),

    op: ($) =>
      seq(
        'op',
        field('name', $.ident),
        $._signature,
        choice(
          seq('=', field('body', $._expr)),
          field('body', $.block),
          seq(optional(seq(':', $._shape)), '=', field('body', $.external)),
        ),
      ),
    external: ($) => seq('external', alias($._string, $.path)),

    menu: ($) =>
      seq('choice', field('name', $.ident), optional(seq('(', $._params, ')')), '=', field('value', $._expr)),

    graph: ($) =>
      seq(field('level', choice('cell', 'stage', 'network')), field('name', $.copy_name), $._signature, $.block),
    copy_name: ($) => seq($.copy_part, repeat(seq('.', $.copy_part))),
    copy_part: ($) => seq($.ident, optional(seq('@', alias(choice($._number, $._name), $.ident)))),

    _signature: ($) => seq('(', optional($._params), optional(seq(';', $._params)), ')'),
    _params: ($) => commas($.param),
    param: ($) =>
      seq(field('name', $.ident), optional(seq(':', $._shape)), optional(seq('=', field('default', $._expr)))),
    _shape: ($) => seq('[', commas($._expr), ']'),

    // ---------------------------------------------------------------- bodies

    block: ($) => block($, $._body_line),
    _body_line: ($) => choice($.binding, $.output, $.aux, $.prune, $._statement),
    _statement: ($) => choice($.require, $.preference),

    binding: ($) =>
      seq($.target, '=', field('value', $._expr), optional(seq('where', commas(alias($.local, $.binding))))),
    target: ($) => seq($.ident, optional(seq('[', commas($.dim), ']'))),
    dim: ($) => seq($.ident, '<', $._expr),
    local: ($) => seq(alias(choice($._single, $._several), $.target), '=', field('value', $._expr)),
    _single: ($) => $.ident,
    _several: ($) => seq('(', $.ident, repeat1(seq(',', $.ident)), ')'),

    output: ($) => seq('output', $._expr),
    aux: ($) => seq('aux', $._expr),
    require: ($) => seq('require', $._expr),
    preference: ($) => seq(choice('minimize', 'maximize'), $._alternative, optional(seq('weight', field('weight', $._expr)))),
    prune: () => 'prune',

    // ---------------------------------------------------------------- settings

    search: ($) =>
      seq('search', optional(field('target', $._postfix)), optional(seq('by', field('method', $.ident))), $._settings),
    method: ($) => seq('method', field('name', $.ident), $._settings),
    train: ($) => seq('train', optional(field('target', $._postfix)), $._settings),
    equivalence: ($) => seq('equivalence', field('name', $.ident), $._settings),
    provenance: ($) => seq('provenance', $._settings),
    _settings: ($) => block($, choice($.setting, $.phase, $._statement)),
    setting: ($) => seq(field('name', $.ident), '=', field('value', choice($._expr, alias($.end_word, $.name)))),
    phase: ($) =>
      seq('phase', field('name', $.ident), '=', field('target', $._postfix), optional($._settings)),

    // ---------------------------------------------------------------- expressions

    _expr: ($) => choice($.if, $._alternative, $.choice),
    if: ($) =>
      seq('if', field('condition', $._disjunction), 'then', field('then', $._expr), 'else', field('else', $._expr)),

    choice: ($) =>
      choice(
        alias($.guarded, $.item),
        seq($._option, repeat1(seq('|', optional(seq(alias($.rest, $.item), '|')), $._option))),
      ),
    _option: ($) => choice(alias($.guarded, $.item), alias($.unguarded, $.item)),
    guarded: ($) => seq($._alternative, optional($._weight), 'if', field('guard', $._disjunction)),
    unguarded: ($) => seq($._alternative, optional($._weight)),
    _weight: ($) => seq('weight', field('weight', $._sum)),
    rest: ($) => $.dots,
    dots: () => '..',

    _alternative: ($) => choice($.pipe, $._disjunction),
    pipe: ($) => seq($._prefix, repeat1(seq('->', $._postfix))),

    _disjunction: ($) => choice($._conjunction, alias($._or, $.binary)),
    _or: ($) => infix($._disjunction, 'or', $._conjunction),
    _conjunction: ($) => choice($._inversion, alias($._and, $.binary)),
    _and: ($) => infix($._conjunction, 'and', $._inversion),
    _inversion: ($) => choice($._comparison, alias($._not, $.unary)),
    _not: ($) => seq(field('operator', 'not'), $._inversion),
    _comparison: ($) => choice($._sum, alias($._compare, $.binary)),
    _compare: ($) => infix($._sum, choice('==', '!=', '<', '<=', '>', '>=', 'in'), $._sum),
    _sum: ($) => choice($._product, alias($._add, $.binary)),
    _add: ($) => infix($._sum, choice('+', '-'), $._product),
    _product: ($) => choice($._negation, alias($._multiply, $.binary)),
    _multiply: ($) => infix($._product, choice('*', '/', '//', '%'), $._negation),
    _negation: ($) => choice($._power, alias($._minus, $.unary)),
    _minus: ($) => seq(field('operator', '-'), $._negation),
    _power: ($) => choice($._prefix, alias($._raise, $.binary)),
    _raise: ($) => infix($._prefix, '**', $._negation),

    _prefix: ($) => choice($._postfix, $.pick, $.take, $.earlier),
    pick: ($) => seq('pick', choice('any', $._sum, $.range), 'of', $._prefix),
    take: ($) => seq(choice('first', 'last'), optional($._sum), 'of', $._prefix),
    earlier: ($) => seq('earlier', $.ident),

    _postfix: ($) => choice($._atom, $.call, $.index, $.field, $.copy),
    call: ($) => seq(field('function', $._postfix), '(', optional(commas($.arg)), ')'),
    index: ($) => seq($._postfix, '[', commas(choice($._expr, $.range)), ']'),
    field: ($) => seq($._postfix, '.', $.ident),
    copy: ($) => seq($._postfix, '@', choice($.number, $.name, seq('(', $._expr, ')'))),
    _atom: ($) => choice($.number, $.string, $.name, seq('(', $._expr, ')'), $.tuple),
    tuple: ($) => seq('(', optional(seq($._expr, repeat1(seq(',', $._expr)))), ')'),

    arg: ($) =>
      seq(optional(seq(field('name', $.ident), '=')), choice($._expr, $.each, alias($.end_word, $.name))),
    each: ($) => seq('each', $._prefix),
    end_word: () => choice('first', 'last'),
    range: ($) => seq($._sum, '..', $._sum),

    // ---------------------------------------------------------------- words

    ident: ($) => $._name,
    name: ($) => $._name,
    number: ($) => $._number,
    string: ($) => $._string,
    comment: () => token(/#[^\n]*/),

    _name: () => /[A-Za-z_][A-Za-z0-9_]*/,
    _number: () => /[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?[KMG]?/,
    _string: () => /"([^"\\\n]|\\["\\])*"/,
  },
});
