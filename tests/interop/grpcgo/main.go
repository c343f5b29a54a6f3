// grpcgo: logs.LogService and the health service as a Go program calls them, with messages from the service's own names
// written by hand.
//
//	grpcgo ADDRESS NAME CALLS
//
// prints one line of JSON: what became of CALLS calls at once, of one with a deadline that is over, of one that is
// compressed, of one too large, and of the health service.
//
//	grpcgo serve
//
// is a server that only counts: prints its address, and how many calls it answered when it is stopped.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	writeLog = "/logs.LogService/WriteLog"
	patience = 60 * time.Second
)

// raw takes messages as they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte{}, data...)
	return nil
}

func request(name, data string) []byte {
	entry := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)
	entry = protowire.AppendString(protowire.AppendTag(entry, 2, protowire.BytesType), data)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), entry)
}

// write makes one call and returns its answer, or the status.
func write(ctx context.Context, conn *grpc.ClientConn, name, data string, options ...grpc.CallOption) string {
	in, out := request(name, data), []byte{}
	options = append(options, grpc.ForceCodec(raw{}))
	if err := conn.Invoke(ctx, writeLog, &in, &out, options...); err != nil {
		return status.Code(err).String()
	}
	_, _, n := protowire.ConsumeTag(out)
	result, _ := protowire.ConsumeString(out[max(n, 0):])
	return result
}

func writeMany(ctx context.Context, conn *grpc.ClientConn, name string, count int) map[string]int {
	var wait sync.WaitGroup
	var lock sync.Mutex
	results := map[string]int{}
	for i := range count {
		wait.Add(1)
		go func() {
			defer wait.Done()
			result := write(ctx, conn, name, strconv.Itoa(i))
			lock.Lock()
			defer lock.Unlock()
			results[result]++
		}()
	}
	wait.Wait()
	return results
}

func health(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "logs.LogService"})
	if err != nil {
		return "", err
	}
	return answer.Status.String(), nil
}

func watch(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := grpc_health_v1.NewHealthClient(conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return "", err
	}
	answer, err := stream.Recv()
	if err != nil {
		return "", err
	}
	return answer.Status.String(), nil
}

func run(address, name string, calls int) (map[string]any, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	past, cancelPast := context.WithTimeout(ctx, time.Millisecond)
	defer cancelPast()
	<-past.Done()
	named := metadata.AppendToOutgoingContext(ctx, "x-log-id", "0123456789abcdef"+name[len(name)-8:])
	report := map[string]any{
		"one":        write(named, conn, name, "named"),
		"repeat":     write(named, conn, name, "named"),
		"conflict":   write(named, conn, name, "other"),
		"many":       writeMany(ctx, conn, name, calls),
		"late":       write(past, conn, name, "late"),
		"compressed": write(ctx, conn, name, "compressed", grpc.UseCompressor(gzip.Name)),
		"large":      write(ctx, conn, name, strings.Repeat("x", 5_000_000)),
		"malformed":  write(ctx, conn, name, "\xff"),
	}
	if report["check"], err = health(ctx, conn); err != nil {
		return nil, err
	}
	if report["watch"], err = watch(ctx, conn); err != nil {
		return nil, err
	}
	return report, nil
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "grpcgo:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: grpcgo ADDRESS NAME CALLS | grpcgo serve")
		os.Exit(100)
	}
	calls, err := strconv.Atoi(os.Args[3])
	report := map[string]any{}
	if err == nil {
		report, err = run(os.Args[1], os.Args[2], calls)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(report)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "grpcgo:", err)
		os.Exit(1)
	}
}
