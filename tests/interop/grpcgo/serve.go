package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// field returns the bytes of a field of that number, the last if there are several.
func field(message []byte, wanted protowire.Number) ([]byte, error) {
	var found []byte
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		message = message[n:]
		if number == wanted && kind == protowire.BytesType {
			if found, n = protowire.ConsumeBytes(message); n < 0 {
				return nil, protowire.ParseError(n)
			}
		} else if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return nil, protowire.ParseError(n)
		}
		message = message[n:]
	}
	return found, nil
}

// read returns name and data of a request.
func read(message []byte) (name, data string, err error) {
	entry, err := field(message, 1)
	if err != nil {
		return "", "", err
	}
	nameBytes, err := field(entry, 1)
	if err != nil {
		return "", "", err
	}
	dataBytes, err := field(entry, 2)
	return string(nameBytes), string(dataBytes), err
}

// serve answers WriteLog and counts, until SIGTERM. It prints its address first, and how many it counted last.
func serve() error {
	var counted, bytes atomic.Int64
	var answer []byte
	answer = protowire.AppendString(protowire.AppendTag(answer, 1, protowire.BytesType), "logged!")
	write := func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var message []byte
		if err := decode(&message); err != nil {
			return nil, err
		}
		name, data, err := read(message)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		counted.Add(1)
		bytes.Add(int64(len(name) + len(data)))
		return &answer, nil
	}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "logs.LogService",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "WriteLog", Handler: write}},
	}, struct{}{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		server.Stop()
	}()
	if err := server.Serve(listener); err != nil {
		return err
	}
	fmt.Println(counted.Load())
	return nil
}
