package main

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
)

const (
	clusterName     = "active"
	mainStore       = "main"
	visibilityStore = "visibility"
)

// defaultDynamicConfig holds the settings without which the server is slow, unfair or talkative as one process on one
// shard. --dynamic-config-value overrides each.
var defaultDynamicConfig = map[dynamicconfig.Key]any{
	// 20 polls a second per shard by default. We have one shard, so each hop of a workflow would wait up to 50 ms.
	dynamicconfig.TransferProcessorMaxPollRPS.Key(): 300,
	dynamicconfig.TimerProcessorMaxPollRPS.Key():    300,
	// A task that is done stays in its queue's memory until the next checkpoint, and each look for new tasks goes over all
	// that are there. At 30 seconds, the default, that was a sixth of a busy server's CPU time.
	dynamicconfig.TransferProcessorUpdateAckInterval.Key():   2 * time.Second,
	dynamicconfig.VisibilityProcessorUpdateAckInterval.Key(): 2 * time.Second,
	// With four partitions and a worker's few pollers some tasks wait for seconds.
	dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
	dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
	// Rate limits per fairness key keep one busy tenant from starving the others. Off by default.
	dynamicconfig.MatchingEnableFairness.Key(): true,
	// A worker that stops is forgotten at once, so that the others take its part of the vendors' limits. Off by default,
	// and then it is counted for another minute and a half.
	dynamicconfig.EnableCancelWorkerPollsOnShutdown.Key(): true,
	// 128,000 entries by default, far more memory than a small machine wants to give.
	dynamicconfig.HistoryCacheHostLevelMaxSize.Key(): 8096,
	// 10 list calls a second by default, too few for tests that poll for facts.
	dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,
	// Asks an outside server for newer versions unless told not to.
	dynamicconfig.EnableServerVersionCheck.Key(): false,
}

// dynamicConfig is defaultDynamicConfig with the command line's values over it.
func (o options) dynamicConfigClient() dynamicconfig.StaticClient {
	client := make(dynamicconfig.StaticClient, len(defaultDynamicConfig)+len(o.dynamicConfig))
	for key, value := range defaultDynamicConfig {
		client[key] = value
	}
	for key, value := range o.dynamicConfig {
		client[dynamicconfig.MakeKey(key)] = value
	}
	return client
}

// serverConfig describes a cluster of one process: four services on loopback ports over two SQLite databases.
// Visibility has its own, since its writes are nearly half of all work and SQLite takes one writer at a time.
func (o options) serverConfig(ports map[primitives.ServiceName]int) *config.Config {
	frontend := net.JoinHostPort(o.ip, strconv.Itoa(o.port))
	conf := &config.Config{
		Global: config.Global{Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: o.ip}},
		Persistence: config.Persistence{
			DefaultStore:     mainStore,
			VisibilityStore:  visibilityStore,
			NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{
				mainStore:       {SQL: o.sqlConfig(mainStore)},
				visibilityStore: {SQL: o.sqlConfig(visibilityStore)},
			},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            make(map[string]config.Service, len(ports)),
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		PublicClient: config.PublicClient{HostPort: frontend},
	}
	for service, port := range ports {
		conf.Services[string(service)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: o.ip}}
	}
	return conf
}

// sqlConfig says how one of the two databases is opened. Both keep the plugin's default of one connection: more were
// measured to be slower. The exclusive lock makes a second server on the same file fail at its start instead of
// corrupting the first one's work.
func (o options) sqlConfig(store string) *config.SQL {
	if o.dbFile == "" {
		return &config.SQL{
			PluginName:        sqlite.PluginName,
			DatabaseName:      "temporald-" + store,
			ConnectAttributes: map[string]string{"mode": "memory", "cache": "shared"},
		}
	}
	return &config.SQL{
		PluginName:   sqlite.PluginName,
		DatabaseName: escapePath(o.databasePath(store)),
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"journal_mode": "wal",
			"locking_mode": "exclusive",
			// NORMAL: safe against a killed process. After a power cut the last transactions may be missing, the file
			// is whole all the same.
			"synchronous": "1",
		},
	}
}

func (o options) databasePath(store string) string {
	if store == visibilityStore {
		return o.dbFile + "-visibility"
	}
	return o.dbFile
}

// staticHosts says where each service is, in place of the gossip that a cluster needs.
func (o options) staticHosts(ports map[primitives.ServiceName]int) map[primitives.ServiceName]static.Hosts {
	hosts := make(map[primitives.ServiceName]static.Hosts, len(ports))
	for service, port := range ports {
		hosts[service] = static.SingleLocalHost(net.JoinHostPort(o.ip, strconv.Itoa(port)))
	}
	return hosts
}

// choosePorts takes the given port for the frontend and free ones for the internal services. The listeners are all
// held until the last port is known, so that no two services get the same one.
func (o options) choosePorts() (map[primitives.ServiceName]int, error) {
	if err := checkFree(o.ip, o.port); err != nil {
		return nil, fmt.Errorf("the frontend can't listen: %w", err)
	}
	if !o.headless {
		if err := checkFree(o.uiIP, o.uiPort); err != nil {
			return nil, fmt.Errorf("the web UI can't listen: %w", err)
		}
	}
	ports := map[primitives.ServiceName]int{primitives.FrontendService: o.port}
	for _, service := range []primitives.ServiceName{
		primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	} {
		listener, err := net.Listen("tcp", net.JoinHostPort(o.ip, "0"))
		if err != nil {
			return nil, fmt.Errorf("find a free port for the %s service: %w", service, err)
		}
		defer func() { _ = listener.Close() }()
		ports[service] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

func checkFree(ip string, port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("%w; stop what uses the port, or choose another", err)
	}
	return listener.Close()
}
