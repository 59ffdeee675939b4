package sage

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tallystick/tallystick/clients/transport"
	"github.com/tallystick/tallystick/domain"
)

func TestWhereText(t *testing.T) {
	at := time.Date(2025, 1, 1, 2, 0, 0, 5, time.FixedZone("", 3600))
	for want, where := range map[string]Where{
		`extId='ghl:order:1'`:                Eq("extId", "ghl:order:1"),
		`reference='O''Brien'`:               Eq("reference", "O'Brien"),
		`reference=''`:                       Eq("reference", ""),
		`accountId.id=1268`:                  Eq("accountId.id", int64(1268)),
		`deleted=false`:                      Eq("deleted", false),
		`total>=-10.50`:                      Ge("total", domain.Number("-10.50")),
		`dateUpdated>'2025-01-01T01:00:00Z'`: Gt("dateUpdated", at),
		`number<>5`:                          Ne("number", 5),
		`number<5`:                           Lt("number", 5),
		`number<=5`:                          Le("number", 5),
		`extId LIKE 'ghl:%'`:                 Like("extId", "ghl:%"),
		`extId IN ('a','b''c')`:              In("extId", "a", "b'c"),
		`statusId.id NOT IN (1,2)`:           NotIn("statusId.id", 1, 2),
		`(extId='a' OR reference='b')`:       Or(Eq("extId", "a"), Eq("reference", "b")),
		`(deleted=false AND (id=1 OR id=2))`: And(Where{}, Eq("deleted", false), Or(Eq("id", 1), Eq("id", 2))),
		`Z_PaymentStatus='paid'`:             Eq("Z_PaymentStatus", "paid"),
		`number=1000`:                        Eq("number", domain.Number("1e3")),
	} {
		got, err := where.render("salesorders", orderFields)
		require.NoError(t, err, want)
		assert.Equal(t, want, got)
	}
}

func TestWhereRefuses(t *testing.T) {
	for name, where := range map[string]Where{
		"an unknown field":          Eq("colour", "red"),
		"a field with a blank":      Eq("extId ", "a"),
		"SQL for a field":           Eq("1=1 OR extId", "a"),
		"SQL for an extra field":    Eq("Z_A' OR '1", "a"),
		"an empty field":            Eq("", "a"),
		"a bare reference":          Eq("accountId", 7),
		"the id of no reference":    Eq("extId.id", 7),
		"another part of a record":  Eq("accountId.value", "ACME"),
		"no values":                 In[string]("extId"),
		"an empty alternative":      Or(Eq("extId", "a"), Where{}),
		"a control character":       Eq("extId", "a\x00b"),
		"a line break":              Eq("extId", "a\nb"),
		"a backslash":               Eq("extId", `a\`),
		"an apostrophe look-alike":  Eq("extId", "aʼ OR 1=1"),
		"a full-width apostrophe":   Eq("extId", "a＇"),
		"an invisible character":    Eq("extId", "a\u200bb"),
		"broken text":               Eq("extId", "a\xff"),
		"a long text":               Eq("extId", strings.Repeat("a", 256)),
		"one bad value among many":  In("extId", "a", "b\t"),
		"a number that is none":     Eq("total", domain.Number("1 OR 1=1")),
		"a filter that is too long": In("extId", strings.Split(strings.Repeat("ghl:order:0123456789,", 90), ",")...),
		"a fault inside":            And(Eq("id", 1), Or(Eq("id", 2), Eq("extId", "\r"))),
	} {
		_, err := where.render("salesorders", orderFields)
		require.ErrorIs(t, err, transport.ErrInvalidCall, name)
	}
}

func TestWhereErrorsDoNotRepeatTheValue(t *testing.T) {
	_, err := Eq("email", "jane@example.com\n").render("accounts", accountFields)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "jane")
}

// literals reads an SQL text and returns its string literals and what is left around them. It shares nothing with the
// code under test. With escapes on it takes a backslash as a database would that escapes with it.
func literals(sql string, escapes bool) (texts []string, rest string, err error) {
	var outside, inside strings.Builder
	for i := 0; i < len(sql); i++ {
		if sql[i] != '\'' {
			outside.WriteByte(sql[i])
			continue
		}
		inside.Reset()
		closed := false
		for i++; i < len(sql); i++ {
			if escapes && sql[i] == '\\' && i+1 < len(sql) {
				i++
			} else if sql[i] == '\'' {
				if i+1 >= len(sql) || sql[i+1] != '\'' {
					closed = true
					break
				}
				i++
			}
			inside.WriteByte(sql[i])
		}
		if !closed {
			return nil, "", errors.New("a literal without an end")
		}
		texts = append(texts, inside.String())
		outside.WriteByte('?')
	}
	return texts, outside.String(), nil
}

// narrow is what a database may make of a text that goes into a column of a narrower character set.
var narrow = strings.NewReplacer("ʹ", "'", "ʼ", "'", "ˈ", "'", "′", "'", "＇", "'")

func FuzzWhereIsOneLiteral(f *testing.F) {
	for _, seed := range []string{"", "a", "'", "''", "' OR '1'='1", `\' OR 1=1 --`, "O'Brien", "ʼ", "a\u2019b", "%", "é", "\x00", "x'; DROP TABLE t; --",
		strings.Repeat("'", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		where := Or(Eq("extId", value), And(Eq("id", 7), In("reference", value, "b'b")))
		text, err := where.render("salesorders", orderFields)
		if err != nil {
			if !errors.Is(err, transport.ErrInvalidCall) {
				t.Fatalf("a refusal of another kind: %v", err)
			}
			return
		}
		for _, sql := range []string{text, narrow.Replace(text)} {
			for _, escapes := range []bool{false, true} {
				texts, rest, err := literals(sql, escapes)
				if err != nil {
					t.Fatalf("%q: %v", sql, err)
				}
				if rest != "(extId=? OR (id=7 AND reference IN (?,?)))" {
					t.Fatalf("%q came through the quotes: %q", value, rest)
				}
				if len(texts) != 3 || texts[0] != value || texts[1] != value || texts[2] != "b'b" {
					t.Fatalf("%q became %q", value, texts)
				}
			}
		}
	})
}

func FuzzWhereFieldNames(f *testing.F) {
	for _, seed := range []string{"extId", "accountId.id", "Z_A", "extId=1 OR extId", "extId--", "a.b.c", "ＥxtId"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		text, err := Eq(field, 1).render("salesorders", orderFields)
		if err != nil {
			return
		}
		name := strings.TrimSuffix(strings.TrimSuffix(text, "=1"), ".id")
		for _, r := range name {
			if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' {
				t.Fatalf("the field name %q went through", field)
			}
		}
	})
}
