mod body;
mod error;
mod mutated;
mod routes;
