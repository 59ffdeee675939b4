// Package testkit holds what the tests of every package need and the product does not: saying that something the
// machine lacks was needed. Only _test.go files and the test folder import it.
package testkit

import (
	"os"
	"testing"
)

// Missing ends the calling test because the machine lacks something. It skips with the advice given, or fails where
// REQUIRE_ALL=1 says that nothing may be missing, as in CI.
func Missing(t testing.TB, advice string) {
	t.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("REQUIRE_ALL=1, so this may not be skipped: %s", advice)
	}
	t.Skip(advice)
}
