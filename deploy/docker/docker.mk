# Containers. REGISTRY=HOST[:PORT] and TAG (this version) make the images' names: REGISTRY/flexiconnect/NAME:TAG.

TAG ?= $(VERSION)

.PHONY: docker-build docker-push docker-up docker-down docker-test swarm-test docker-test-setup

docker-build: ## build the images and print what each adds to its base (S="NAME..." for some)
	@TAG='$(TAG)' REGISTRY='$(REGISTRY)' deploy/docker/build $(S)

docker-push: docker-build ## push them to REGISTRY, for the nodes of a Swarm
	@TAG='$(TAG)' REGISTRY='$(REGISTRY)' deploy/docker/build --push $(S)

docker-up: ## the whole system in containers, for development; waits until it is ready, and says where it is
	@deploy/docker/stack up

docker-down: ## stop and remove the containers; the data stay
	@deploy/docker/stack down

docker-test: docker-test-setup ## images and containers, on a Docker daemon of the tests' own (root; skipped where none can run)
	@tests/docker/run $(PYTEST_ARGS)

swarm-test: docker-test-setup ## the Swarm's part of it
	@tests/docker/run test_swarm.py test_swarm_kill.py test_swarm_nodes.py test_swarm_roll.py $(PYTEST_ARGS)

docker-test-setup:
	@deploy/native/deps runtime build test docker
	@deploy/native/tools
	@tests/python
