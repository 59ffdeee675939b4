package sage

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// The where language, as far as the vendor documents it and public code uses it:
//
//	clause  = term { "OR" term }
//	term    = factor { "AND" factor }
//	factor  = "(" clause ")" | test
//	test    = field ( "=" | "<>" | "<" | "<=" | ">" | ">=" ) literal
//	        | field [ "NOT" ] "LIKE" text | field [ "NOT" ] "IN" "(" literal { "," literal } ")"
//	field   = name [ ".id" ]        references need .id, nothing else may have it
//	literal = 'text, with ' doubled' | number | true | false
//
// Anything else, an unknown field included, is error 901. A comparison with null is false, as in SQL.

// errBadWhere is the vendor's error 901.
var errBadWhere = errors.New("SQL is not generated correctly")

// clause is a parsed where expression.
type clause interface {
	matches(r *record) bool
	// candidates gives a superset of the matching rows from an index, ascending by id; false if no index helps.
	candidates(t *table) ([]int64, bool)
}

type both struct{ left, right clause }

func (c both) matches(r *record) bool { return c.left.matches(r) && c.right.matches(r) }

func (c both) candidates(t *table) ([]int64, bool) {
	left, okLeft := c.left.candidates(t)
	right, okRight := c.right.candidates(t)
	if okLeft && (!okRight || len(left) <= len(right)) {
		return left, true
	}
	return right, okRight
}

type either struct{ left, right clause }

func (c either) matches(r *record) bool { return c.left.matches(r) || c.right.matches(r) }

func (c either) candidates(t *table) ([]int64, bool) {
	left, okLeft := c.left.candidates(t)
	right, okRight := c.right.candidates(t)
	if !okLeft || !okRight {
		return nil, false
	}
	ids := slices.Concat(left, right)
	slices.Sort(ids)
	return slices.Compact(ids), true
}

// test compares one field with one literal, or with several for IN.
type test struct {
	f        *field
	op       string // = <> < <= > >= like in
	not      bool
	literals []any
	pattern  *regexp.Regexp
}

func (c test) matches(r *record) bool {
	v := r.values[c.f.key]
	if v == nil {
		return false
	}
	switch c.op {
	case "like":
		s, _ := v.(string)
		return c.pattern.MatchString(s) != c.not
	case "in":
		found := slices.ContainsFunc(c.literals, func(l any) bool { return compare(v, l) == 0 })
		return found != c.not
	}
	order := compare(v, c.literals[0])
	switch c.op {
	case "=":
		return order == 0
	case "<>":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

func (c test) candidates(t *table) ([]int64, bool) {
	if c.op != "=" && (c.op != "in" || c.not) || !c.f.index {
		return nil, false
	}
	var ids []int64
	for _, l := range c.literals {
		if c.f.key != "id" {
			ids = append(ids, t.lookup(c.f.key, l)...)
		} else if id, ok := l.(int64); ok && t.rows[id] != nil {
			ids = append(ids, id)
		}
	}
	if len(c.literals) > 1 {
		slices.Sort(ids)
		ids = slices.Compact(ids)
	}
	return ids, true
}

// tokens splits a where clause; an unfinished text or a foreign character makes the last token invalid.
var tokens = regexp.MustCompile(`'(?:[^']|'')*'|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z]+)?|-?[0-9]+(?:\.[0-9]+)?|<>|<=|>=|[=<>(),]|\S`)

type parser struct {
	t     *table
	words []string
}

func parseWhere(where string, t *table) (clause, error) {
	p := &parser{t: t, words: tokens.FindAllString(where, -1)}
	c, err := p.clause()
	if err != nil {
		return nil, err
	}
	if len(p.words) > 0 {
		return nil, errBadWhere
	}
	return c, nil
}

func (p *parser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *parser) take(word string) bool {
	if len(p.words) > 0 && strings.EqualFold(p.words[0], word) {
		p.words = p.words[1:]
		return true
	}
	return false
}

func (p *parser) clause() (clause, error) {
	left, err := p.term()
	for err == nil && p.take("or") {
		var right clause
		right, err = p.term()
		left = either{left, right}
	}
	return left, err
}

func (p *parser) term() (clause, error) {
	left, err := p.factor()
	for err == nil && p.take("and") {
		var right clause
		right, err = p.factor()
		left = both{left, right}
	}
	return left, err
}

func (p *parser) factor() (clause, error) {
	if !p.take("(") {
		return p.test()
	}
	c, err := p.clause()
	if err == nil && !p.take(")") {
		err = errBadWhere
	}
	return c, err
}

func (p *parser) test() (clause, error) {
	name, suffix, dotted := strings.Cut(strings.ToLower(p.next()), ".")
	f := p.t.byName[name]
	if f == nil {
		return nil, errBadWhere
	}
	reference := f.typ == typeRef || f.typ == typeList
	if reference != dotted || dotted && suffix != "id" {
		return nil, errBadWhere
	}
	c := test{f: f, not: p.take("not")}
	c.op = strings.ToLower(p.next())
	if p.t.unfilterable[f.key] || p.t.unfilterable[f.key+" "+c.op] {
		return nil, errBadWhere
	}
	switch c.op {
	case "=", "<>", "<", "<=", ">", ">=":
		l, err := p.literal(f)
		c.literals = []any{l}
		if c.not {
			err = errBadWhere
		}
		return c, err
	case "like":
		word := p.next()
		if f.typ != typeText || !strings.HasPrefix(word, "'") || len(word) < 2 {
			return nil, errBadWhere
		}
		c.pattern = likePattern(unquote(word))
		return c, nil
	case "in":
		var err error
		c.literals, err = p.literals(f)
		return c, err
	}
	return nil, errBadWhere
}

func (p *parser) literals(f *field) ([]any, error) {
	if !p.take("(") {
		return nil, errBadWhere
	}
	var all []any
	for {
		l, err := p.literal(f)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
		if p.take(")") {
			return all, nil
		}
		if !p.take(",") {
			return nil, errBadWhere
		}
	}
}

// literal reads a literal of the field's type.
func (p *parser) literal(f *field) (any, error) {
	word := p.next()
	quoted := len(word) >= 2 && strings.HasPrefix(word, "'")
	switch {
	case f.typ == typeText && quoted:
		return unquote(word), nil
	case f.typ == typeText || word == "" || word == "'":
		return nil, errBadWhere
	case (f.typ == typeDate || f.typ == typeDay) && quoted:
		at, err := f.dateFromJSON(unquote(word))
		if err != nil {
			return nil, errBadWhere
		}
		return at, nil
	case f.typ == typeBool:
		switch strings.ToLower(word) {
		case "true", "1":
			return true, nil
		case "false", "0":
			return false, nil
		}
		return nil, errBadWhere
	case quoted:
		return nil, errBadWhere
	}
	v, err := (&field{name: f.name, typ: literalType(f.typ)}).fromJSON(json.Number(word))
	if err != nil {
		return nil, errBadWhere
	}
	return v, nil
}

func literalType(t fieldType) fieldType {
	if t == typeDecimal || t == typeDate || t == typeDay {
		return t
	}
	return typeInteger
}

func unquote(word string) string {
	return strings.ReplaceAll(word[1:len(word)-1], "''", "'")
}

// likePattern knows % and _, and compares without regard to case.
func likePattern(like string) *regexp.Regexp {
	escaped := regexp.QuoteMeta(like)
	escaped = strings.NewReplacer("%", ".*", "_", ".").Replace(escaped)
	return regexp.MustCompile(`(?is)^` + escaped + `$`)
}
