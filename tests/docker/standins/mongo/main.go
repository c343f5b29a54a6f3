// Mongod stands in for MongoDB's server in tests: FerretDB on SQLite files in /data/db, on port 27017, with the root
// user that MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD name. Called mongosh it is a shell that can do
// one thing: ping a server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/FerretDB/FerretDB/internal/clientconn"
	"github.com/FerretDB/FerretDB/internal/clientconn/connmetrics"
	"github.com/FerretDB/FerretDB/internal/handler/registry"
	"github.com/FerretDB/FerretDB/internal/util/password"
	"github.com/FerretDB/FerretDB/internal/util/state"
	"github.com/FerretDB/wire/wireclient"
)

const (
	data    = "/data/db"
	address = "0.0.0.0:27017"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	command := serve
	if filepath.Base(os.Args[0]) == "mongosh" {
		command = shell
	}
	if err := command(ctx); err != nil {
		fmt.Fprintln(os.Stderr, filepath.Base(os.Args[0])+":", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context) error {
	logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelWarn}))
	provider, err := state.NewProvider("")
	if err != nil {
		return err
	}
	err = provider.Update(func(s *state.State) {
		s.DisableTelemetry()
		s.TelemetryLocked = true
	})
	if err != nil {
		return err
	}
	metrics := connmetrics.NewListenerMetrics()
	options := &registry.NewHandlerOpts{
		Logger:        logger,
		ConnMetrics:   metrics.ConnMetrics,
		StateProvider: provider,
		TCPHost:       address,
		SQLiteURL:     "file:" + data + "/",
		TestOpts:      registry.TestOpts{CappedCleanupPercentage: 10, BatchSize: 100},
	}
	if user := os.Getenv("MONGO_INITDB_ROOT_USERNAME"); user != "" {
		options.EnableNewAuth = true
		options.SetupDatabase = "admin"
		options.SetupUsername = user
		options.SetupPassword = password.WrapPassword(os.Getenv("MONGO_INITDB_ROOT_PASSWORD"))
		options.SetupTimeout = 30 * time.Second
	}
	handler, closeBackend, err := registry.NewHandler("sqlite", options)
	if err != nil {
		return err
	}
	defer closeBackend()
	listener, err := clientconn.Listen(&clientconn.NewListenerOpts{
		TCP:     address,
		Mode:    clientconn.NormalMode,
		Metrics: metrics,
		Handler: handler,
		Logger:  logger,
	})
	if err != nil {
		return err
	}
	go keepIDIndexes(ctx, data, logger)
	listener.Run(ctx)
	return nil
}

// shell knows the ways to call mongosh that health checks use: [--quiet] [--host HOST] [--port PORT] [URL] --eval SCRIPT,
// where the script asks for a ping.
func shell(ctx context.Context) error {
	flags := flag.NewFlagSet("mongosh", flag.ContinueOnError)
	host := flags.String("host", "127.0.0.1", "")
	port := flags.String("port", "27017", "")
	script := flags.String("eval", "", "")
	flags.Bool("quiet", false, "")
	flags.Bool("norc", false, "")
	arguments := os.Args[1:]
	for len(arguments) > 0 {
		if err := flags.Parse(arguments); err != nil {
			return err
		}
		if arguments = flags.Args(); len(arguments) == 0 {
			break
		}
		where := strings.SplitN(strings.TrimPrefix(arguments[0], "mongodb://"), "/", 2)[0]
		if h, p, err := net.SplitHostPort(where); err == nil {
			*host, *port = h, p
		}
		arguments = arguments[1:]
	}
	if !strings.Contains(*script, "ping") {
		return errors.New("the stand-in's shell can only ping")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	silent := slog.New(slog.NewTextHandler(io.Discard, nil))
	connection, err := wireclient.Connect(ctx, "mongodb://"+net.JoinHostPort(*host, *port)+"/", silent)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.Ping(ctx); err != nil {
		return err
	}
	fmt.Println("1")
	return nil
}
