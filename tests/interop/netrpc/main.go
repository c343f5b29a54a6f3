// netrpc: the standard net/rpc as a client and as a server, for tests.
//
//	netrpc client ADDRESS            a call for each line {"method","shape","name","data"}, a line {"reply","error"} back
//	netrpc flood ADDRESS CALLS AT_ONCE  so many calls over one connection; prints {"stored","failed","seconds"}
//	netrpc server                    prints its address, then a line for each call that it takes
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

type RPCPayload struct {
	Name string
	Data string
}

type request struct {
	Method, Shape, Name, Data, ID, Level string
}

type answer struct {
	Reply string `json:"reply"`
	Error string `json:"error"`
}

// The arguments that a caller may come up with.
func argument(r request) any {
	switch r.Shape {
	case "number":
		return 42
	case "text":
		return r.Data
	case "reordered":
		return struct{ Data, Name string }{r.Data, r.Name}
	case "missing":
		return struct{ Name string }{r.Name}
	case "extra":
		return struct {
			Before map[string][]int
			Name   string
			Middle struct{ A, B []byte }
			Data   string
			After  float64
			More   any
		}{Before: map[string][]int{"a": {1, 2}}, Name: r.Name, Data: r.Data, After: 1.5, More: "more"}
	case "identified":
		return struct{ Name, Data, ID, Level string }{r.Name, r.Data, r.ID, r.Level}
	case "wrong field":
		return struct{ Name int }{3}
	case "other fields":
		return struct{ Other string }{"x"}
	}
	return RPCPayload{r.Name, r.Data}
}

func client(address string) error {
	c, err := rpc.Dial("tcp", address)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewReader(os.Stdin)
	decoder := json.NewDecoder(in)
	for decoder.More() {
		var r request
		if err := decoder.Decode(&r); err != nil {
			return err
		}
		var a answer
		if err := c.Call(r.Method, argument(r), &a.Reply); err != nil {
			a.Error = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return c.Close()
}

func flood(address string, calls, atOnce int) error {
	c, err := rpc.Dial("tcp", address)
	if err != nil {
		return err
	}
	var stored, failed, next int64
	var wait sync.WaitGroup
	began := time.Now()
	for i := 0; i < atOnce; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				n := atomic.AddInt64(&next, 1)
				if n > int64(calls) {
					return
				}
				var reply string
				name := fmt.Sprintf("call %d", n)
				err := c.Call("RPCServer.LogInfo", RPCPayload{name, "data"}, &reply)
				if err == nil && reply == "Processed payload via RPC:"+name {
					atomic.AddInt64(&stored, 1)
				} else {
					atomic.AddInt64(&failed, 1)
				}
			}
		}()
	}
	wait.Wait()
	fmt.Printf("{\"stored\":%d,\"failed\":%d,\"seconds\":%f}\n", stored, failed, time.Since(began).Seconds())
	return c.Close()
}

type RPCServer struct{}

func (*RPCServer) LogInfo(payload RPCPayload, reply *string) error {
	line, _ := json.Marshal(payload)
	fmt.Println(string(line))
	switch payload.Name {
	case "fail":
		return errors.New("boom")
	case "slow":
		time.Sleep(time.Minute)
	}
	*reply = "Processed payload via RPC:" + payload.Name
	return nil
}

func server() error {
	if err := rpc.Register(new(RPCServer)); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	rpc.Accept(listener)
	return nil
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 2 && arguments[0] == "client":
		return client(arguments[1])
	case len(arguments) == 4 && arguments[0] == "flood":
		calls, err := strconv.Atoi(arguments[2])
		if err != nil {
			return err
		}
		atOnce, err := strconv.Atoi(arguments[3])
		if err != nil {
			return err
		}
		return flood(arguments[1], calls, atOnce)
	case len(arguments) == 1 && arguments[0] == "server":
		return server()
	}
	return errors.New("usage: netrpc client ADDRESS | flood ADDRESS CALLS AT_ONCE | server")
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "netrpc:", err)
		os.Exit(1)
	}
}
