package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/dynamicconfig"
)

// The compose file's settings are read by the same server, which would go on with its defaults after a slip of the pen.
func TestTheComposeFilesSettingsAreUnderstood(t *testing.T) {
	content, err := os.ReadFile("../../deploy/temporal/dynamicconfig.yaml")
	require.NoError(t, err)
	loaded := dynamicconfig.LoadYamlFile(content)
	require.NoError(t, loaded.Err())
	require.Empty(t, loaded.Warnings, "unknown names and unfit values are warned of")
	for key := range defaultDynamicConfig {
		if key != dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key() {
			require.Contains(t, loaded.Map, key, "set here, and forgotten there?")
		}
	}
}
