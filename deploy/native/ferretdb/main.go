// Ferretdb is the document store of a machine that has no MongoDB server: FerretDB's embeddable
// package on SQLite files. It speaks the MongoDB protocol on one socket until SIGTERM or SIGINT.
package main

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

type options struct {
	listen    string // unix:PATH or HOST:PORT
	state     string // directory of the SQLite files
	logFormat string // json or plain
	logLevel  string
	readyFD   int // a newline is written there once connections are taken; below 0: nobody is told
}

func main() {
	if err := run(readOptions()); err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}

func readOptions() options {
	var o options
	flag.StringVar(&o.listen, "listen", "", "`ADDRESS` to listen on: unix:PATH or HOST:PORT")
	flag.StringVar(&o.state, "state", "", "`DIRECTORY` of the data")
	flag.StringVar(&o.logFormat, "log", "json", "`FORMAT` of the log lines on stderr: json or plain")
	flag.StringVar(&o.logLevel, "log-level", "error", "least `LEVEL` to log: debug, info, warn or error")
	flag.IntVar(&o.readyFD, "ready-fd", -1, "`DESCRIPTOR` that gets a newline when the store is ready")
	flag.Parse()
	if o.listen == "" || o.state == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(100)
	}
	return o
}

func run(o options) error {
	logger, err := newLogger(o.logFormat, o.logLevel)
	if err != nil {
		return err
	}
	listener, err := parseListen(o.listen)
	if err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	// The package's own telemetry reporter exists in FerretDB's command only; nothing here starts it.
	store, err := ferretdb.New(&ferretdb.Config{
		Listener:  listener,
		Logger:    logger,
		Handler:   "sqlite",
		SQLiteURL: stateURL(o.state),
	})
	if err != nil {
		return err
	}
	// New has bound the socket, so a client that connects from here on is served.
	if err := tellReady(o.readyFD); err != nil {
		return err
	}
	go keepIDIndexes(ctx, o.state, logger)
	return store.Run(ctx)
}

func newLogger(format, level string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("-log-level: %w", err)
	}
	switch opts := (&slog.HandlerOptions{Level: least}); format {
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), nil
	case "plain":
		return slog.New(slog.NewTextHandler(os.Stderr, opts)), nil
	}
	return nil, fmt.Errorf("-log: %q is neither json nor plain", format)
}

func parseListen(address string) (ferretdb.ListenerConfig, error) {
	path, unix := strings.CutPrefix(address, "unix:")
	if !unix {
		return ferretdb.ListenerConfig{TCP: address}, nil
	}
	return ferretdb.ListenerConfig{Unix: path}, removeStaleSocket(path)
}

// removeStaleSocket removes what a store that was killed left behind; the supervisor sees to it that
// only one runs. Anything but a socket is somebody's file and stays.
func removeStaleSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return nil
	}
	return os.Remove(path)
}

func stateURL(directory string) string {
	return (&url.URL{Scheme: "file", OmitHost: true, Path: strings.TrimRight(directory, "/") + "/"}).String()
}

func tellReady(fd int) error {
	if fd < 0 {
		return nil
	}
	ready := os.NewFile(uintptr(fd), "ready")
	defer ready.Close()
	_, err := ready.WriteString("\n")
	return err
}
