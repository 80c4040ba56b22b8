"""The code that an actor holds: it turns a row into stored images and an outcome, without Ray."""
