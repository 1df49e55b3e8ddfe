mod body;
mod error;
mod routes;
