module flexiconnect.invalid/netrpc

go 1.19
