# Containers. REGISTRY=HOST[:PORT] and TAG (this version) make the images' names: REGISTRY/flexiconnect/NAME:TAG.

TAG ?= $(VERSION)

.PHONY: docker-build docker-push

docker-build: ## build the images and print what each adds to its base (S="NAME..." for some)
	@TAG='$(TAG)' REGISTRY='$(REGISTRY)' deploy/docker/build $(S)

docker-push: docker-build ## push them to REGISTRY, for the nodes of a Swarm
	@TAG='$(TAG)' REGISTRY='$(REGISTRY)' deploy/docker/build --push $(S)
