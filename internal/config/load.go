package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// starterMetrics is where the starter serves metrics by default: the worker's default address is taken if both run on
// one machine.
const starterMetrics = "127.0.0.1:9091"

// Fault is one thing wrong with one variable. Problem completes the sentence "VARIABLE …" and shows no secret.
type Fault struct{ Variable, Problem string }

// Error is the sentence.
func (f Fault) Error() string { return f.Variable + " " + f.Problem }

// Faults is everything wrong with the environment, in the order of the documentation.
type Faults []Fault

// Error is one line a fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = "\n  " + fault.Error()
	}
	return "the configuration has faults (docs/configuration.md explains each variable):" + strings.Join(lines, "")
}

// Load reads the environment for a process of the given role. Its error is a Faults with everything that is wrong. A
// variable that is set but empty counts as unset, since compose files pass unset ones on like that.
func Load(role Role) (Config, error) {
	var c Config
	var faults Faults
	for _, v := range variables(&c) {
		if err := v.read(); err != nil {
			faults = append(faults, Fault{v.Name, v.problem(err)})
		} else if v.neededBy(role) && v.value.IsZero() {
			faults = append(faults, Fault{v.Name, "is not set: " + v.Description})
		}
	}
	if _, set := os.LookupEnv("METRICS_ADDRESS"); !set && role == Serve {
		c.HTTP.Metrics = starterMetrics
	}
	// What did not parse is zero now, and would be reported a second time.
	for _, fault := range c.validate() {
		if !slices.ContainsFunc(faults, func(f Fault) bool { return f.Variable == fault.Variable }) {
			faults = append(faults, fault)
		}
	}
	known := variables(&c)
	c.Unknown = unknown(os.Environ(), known)
	if len(faults) > 0 {
		place := func(f Fault) int {
			return slices.IndexFunc(known, func(v Variable) bool { return v.Name == f.Variable })
		}
		slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(place(a), place(b)) })
		return Config{}, faults
	}
	return c, nil
}

// Variable is an entry of the documentation.
type Variable struct {
	Group, Name, Default, Description string
	// Needed are the roles that cannot do without it; with When, only if that variable is set, with Unless, only if that
	// one is not.
	Needed       []string
	When, Unless string
	// Own says that a connection may have a value of its own.
	Own bool

	field reflect.StructField
	value reflect.Value
}

// Variables lists every variable in the order of the documentation.
func Variables() []Variable { return variables(&Config{}) }

func variables(c *Config) []Variable {
	var list []Variable
	for group, value := range reflect.ValueOf(c).Elem().Fields() {
		if group.Tag.Get("ignored") != "" {
			continue
		}
		for field, value := range value.Fields() {
			v := Variable{
				Group: group.Tag.Get("title"), Name: field.Tag.Get("envconfig"), Default: field.Tag.Get("default"),
				Description: field.Tag.Get("desc"), When: field.Tag.Get("when"), Unless: field.Tag.Get("unless"),
				Own: field.Tag.Get("own") != "", field: field, value: value,
			}
			if needed := field.Tag.Get("needed"); needed != "" {
				v.Needed = strings.Split(needed, ",")
			}
			list = append(list, v)
		}
	}
	return list
}

func (v Variable) neededBy(role Role) bool {
	return slices.Contains(v.Needed, string(role)) && (v.When == "" || isSet(v.When)) && (v.Unless == "" || !isSet(v.Unless))
}

func isSet(name string) bool { return strings.TrimSpace(os.Getenv(name)) != "" }

// read lets envconfig process the one field, in a struct of its own: over the whole struct it would stop at the first
// fault.
func (v Variable) read() error {
	if text, set := os.LookupEnv(v.Name); set && strings.TrimSpace(text) == "" {
		if err := os.Unsetenv(v.Name); err != nil {
			return err
		}
	}
	single := reflect.New(reflect.StructOf([]reflect.StructField{{Name: v.field.Name, Type: v.field.Type, Tag: v.field.Tag}}))
	if err := envconfig.Process("", single.Interface()); err != nil {
		return err
	}
	v.value.Set(single.Elem().Field(0))
	return nil
}

// problem says what is wrong in words of ours: envconfig's own quote the value.
func (v Variable) problem(err error) string {
	var parse *envconfig.ParseError
	if !errors.As(err, &parse) {
		return "cannot be read"
	}
	if _, ours := v.value.Addr().Interface().(envconfig.Decoder); ours {
		return parse.Err.Error()
	}
	switch v.value.Interface().(type) {
	case slog.Level:
		return "must be debug, info, warn or error"
	case time.Duration:
		return "must be a duration such as 30s, 5m or 2h"
	case bool:
		return "must be true or false"
	case int, int64:
		return "must be a whole number"
	case float64:
		return "must be a number such as 3 or 2.5"
	case map[string]string:
		return "must be pairs such as name:value,name:value"
	}
	return "cannot be read"
}

// unknown lists set variables that begin like ours and are none.
func unknown(environ []string, known []Variable) []string {
	names, prefixes := map[string]bool{}, map[string]bool{}
	for _, v := range known {
		names[v.Name] = true
		if prefix, _, found := strings.Cut(v.Name, "_"); found {
			prefixes[prefix] = true
		}
	}
	// Words too common to claim for ourselves.
	for _, common := range []string{"LOG", "DATABASE", "SECRET", "ADMIN", "LISTEN", "READ", "TEST", "METRICS"} {
		delete(prefixes, common)
	}
	var list []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		prefix, _, found := strings.Cut(name, "_")
		if found && prefixes[prefix] && !names[name] {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// String is the summary in one line.
func (c Config) String() string { return fmt.Sprint(c.LogValue()) }
