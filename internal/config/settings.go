package config

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/joho/godotenv"
)

// Settings are what a connection has of its own instead of the environment's.
type Settings struct {
	GHL    GHL
	Sage   Sage
	Orders Orders
	// Shipping is nil in settings that were made before a connection could have its own: then the environment's count.
	Shipping *Shipping
	// Books is nil in the same way.
	Books *Books
}

// LoadSettings reads the settings of one connection from a file of lines NAME=value, with the names of the environment
// variables. A variable that the file lacks has its default, whatever the environment says: the environment's values are
// another connection's. Its error is a Faults with everything that is wrong, and shows no value.
//
// It sets environment variables for moments, so only a command that runs alone may call it.
func LoadSettings(file io.Reader) (Settings, error) {
	values, err := godotenv.Parse(file)
	if err != nil { // its own words quote the line
		return Settings{}, errors.New("the file is no list of lines NAME=value")
	}
	var c Config
	var faults Faults
	var names []string
	for _, v := range variables(&c) {
		if !v.Own {
			continue
		}
		names = append(names, v.Name)
		if err := v.readFrom(values[v.Name]); err != nil {
			faults = append(faults, Fault{v.Name, v.problem(err)})
		}
	}
	for name := range values {
		if !slices.Contains(names, name) {
			faults = append(faults, Fault{name, "is nothing that a connection can have of its own; there are " + strings.Join(names, ", ")})
		}
	}
	half := func(missing, other string) {
		faults = append(faults, Fault{missing, "is missing beside " + other})
	}
	switch {
	case c.Sage.PublicKey == "" && c.Sage.PrivateKey != "":
		half("SAGE_PUBLIC_KEY", "SAGE_PRIVATE_KEY")
	case c.Sage.PublicKey != "" && c.Sage.PrivateKey == "":
		half("SAGE_PRIVATE_KEY", "SAGE_PUBLIC_KEY")
	}
	check := func(ok bool, variable, problem string) {
		if !ok && !slices.ContainsFunc(faults, func(f Fault) bool { return f.Variable == variable }) {
			faults = append(faults, Fault{variable, problem})
		}
	}
	c.validateSage(check)
	c.validateShipping(check)
	c.validateBooks(check)
	if len(faults) > 0 {
		slices.SortFunc(faults, func(a, b Fault) int { return cmp.Compare(a.Variable, b.Variable) })
		return Settings{}, faults
	}
	return Settings{GHL: GHL{PrivateToken: c.GHL.PrivateToken}, Sage: c.Sage, Orders: c.Orders, Shipping: &c.Shipping,
		Books: &c.Books}, nil
}

// readFrom reads the variable from a text instead of the environment, with its default if the text is empty.
func (v Variable) readFrom(text string) (err error) {
	before, was := os.LookupEnv(v.Name)
	defer func() {
		if was {
			err = errors.Join(err, os.Setenv(v.Name, before))
		} else {
			err = errors.Join(err, os.Unsetenv(v.Name))
		}
	}()
	if err := os.Setenv(v.Name, text); err != nil {
		return err
	}
	return v.read()
}
