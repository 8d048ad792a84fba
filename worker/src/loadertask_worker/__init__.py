"""The worker: loads one task of Binance market data into Kafka. It knows no Kubernetes."""
